/** Real processes that end while a thread of theirs hangs in the kernel: to open a pipe that nobody writes to takes as long. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { runScript, temporaryFolder } from "./bundled-process.test-helper.ts";

/** Ends with the code once a reading hangs: in one of Node's four threads, or in one made for it. */
async function endWhileItHangs(reading: string, code: number, before = ""): Promise<unknown> {
  const pipe = join(await temporaryFolder(), "pipe");
  execFileSync("mkfifo", [pipe]);
  const script = await runScript(`
    import { readFile } from "node:fs/promises";
    import { Worker } from "node:worker_threads";
    import { endProcess, keepingThread } from "./index.ts";
    const path = ${JSON.stringify(pipe)};
    process.on("exit", (code) => process.stdout.write("wrote " + code));
    ${before}
    ${reading}
    setTimeout(() => void endProcess(${code}), 100);`);
  return { ...(await script.ended), told: script.stdout() };
}

const inPool = `void keepingThread(readFile(path)).catch(() => undefined);`;
const aside = `
  const worker = new Worker('require("node:fs").readFileSync(require("node:worker_threads").workerData)', { eval: true, workerData: path });
  worker.unref();
  void keepingThread(new Promise(() => undefined));`;
const heeded = `for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.stdout.write("heard"));`;

// Windows has no such pipes.
describe.skipIf(process.platform === "win32")("endProcess", () => {
  it("DESIGN-6: ends although a reading hangs; what it was to write at its end is written", async () => {
    expect(await endWhileItHangs(inPool, 0, heeded)).toEqual({ code: null, signal: "SIGTERM", told: "wrote 0" });
    expect(await endWhileItHangs(aside, 0)).toEqual({ code: null, signal: "SIGTERM", told: "wrote 0" });
  });

  it("DESIGN-6: ends by the signal that its code stands for, and no failure looks like a clean end", async () => {
    expect(await endWhileItHangs(aside, 130, heeded)).toEqual({ code: null, signal: "SIGINT", told: "wrote 130" });
    expect(await endWhileItHangs(inPool, 1)).toEqual({ code: null, signal: "SIGKILL", told: "wrote 1" });
  });

  it("ends with its code where all that is read is read in time, or nothing is", async () => {
    expect(await endWhileItHangs("", 3)).toEqual({ code: 3, signal: null, told: "wrote 3" });
    expect(await endWhileItHangs(`void endProcess(5);`, 3)).toEqual({ code: 5, signal: null, told: "wrote 5" });
    const late = `setTimeout(() => void import("node:fs").then((fs) => fs.closeSync(fs.openSync(path, "r+"))), 300);`;
    expect(await endWhileItHangs(inPool, 4, late)).toEqual({ code: 4, signal: null, told: "wrote 4" });
  });
});
