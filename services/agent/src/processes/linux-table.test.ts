/**
 * A process that is stuck with the lock of its memory: whoever reads its environment waits in the kernel. A pipe that nobody writes to stands
 * for it in a folder like /proc: to open it takes as long.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  captureLogger,
  makeTempDir,
  manualPorts,
  waitFor,
  type CapturingLogger,
  type TempDir,
} from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { linuxProcessTable } from "./linux-table.ts";
import type { ProcessTable } from "./process-table.ts";

const entry = "HEADROOM_ATTEMPT_ID=one";
let dir: TempDir;
let ports: ReturnType<typeof manualPorts>;
let logger: CapturingLogger;
let table: ProcessTable;
let pipes: string[];
let deadlines: ChildProcess[];

beforeEach(async () => {
  dir = await makeTempDir("proc");
  ports = manualPorts();
  logger = captureLogger();
  table = linuxProcessTable({ procDir: dir.path, timers: ports.timers, logger });
  pipes = [];
  deadlines = [];
});
afterEach(async () => {
  for (const child of deadlines) child.kill("SIGKILL");
  for (const path of pipes) await release(path);
  await dir.remove();
});

async function makeProcess(pid: number, environment: string, flags = 0): Promise<void> {
  await mkdir(join(dir.path, String(pid)), { recursive: true });
  const fields = ["S", 1, pid, pid, 0, -1, flags, ...Array.from({ length: 12 }, () => 0), 1_000 + pid, 0, 25_600];
  await writeFile(join(dir.path, String(pid), "stat"), `${pid} (a (b) c) ${fields.join(" ")}\n`);
  await writeFile(join(dir.path, String(pid), "environ"), environment);
}

/** From now on whoever reads this file of the process waits, for five seconds should nothing else end it. */
async function stick(pid: number, file = "environ"): Promise<string> {
  const path = join(dir.path, String(pid), file);
  await rm(path, { force: true });
  execFileSync("mkfifo", [path]);
  deadlines.push(spawn("sh", ["-c", `sleep 5; exec timeout 5 sh -c ': > "$0"' "$0"`, path], { stdio: "ignore" }));
  pipes.push(path);
  return path;
}

/** It is stuck no more. */
async function release(path: string): Promise<void> {
  const writer = openSync(path, "r+");
  await rm(path);
  await writeFile(path, "");
  closeSync(writer);
}

/** A look at all, once the limit of those that hang is over. All others have been read by then. */
async function lookPast(hanging: number): Promise<readonly number[]> {
  const found = table.withEnvironment(entry);
  await waitFor(() => ports.timers.pendingDelays().length === hanging);
  await ports.advance(2_000);
  return found;
}

describe.skipIf(process.platform === "win32")("a process whose memory is locked", () => {
  it("DESIGN-6: holds up nobody: others are found, files are read, and it is not asked again while it hangs", async () => {
    await makeProcess(101, `A=1\0${entry}\0`);
    await makeProcess(102, "A=1\0");
    await makeProcess(103, `${entry}\0`);
    await makeProcess(104, `${entry}\0`, 0x0020_0040);
    const pipe = await stick(102);
    // A kernel thread has no environment.
    expect(await lookPast(1)).toEqual([101, 103]);
    expect(logger.records.filter(({ level }) => level === "warn")).toMatchObject([
      { fields: { err: { message: "process 102 did not let itself be read within 2000 ms" } } },
    ]);
    // Nobody waits for it again: no time passes.
    expect(await table.withEnvironment(entry)).toEqual([101, 103]);
    expect(await table.proportionalMib(102)).toBeNull();
    expect(await table.startToken(102)).toContain("1102");
    await release(pipe);
    await waitFor(async () => {
      await table.withEnvironment(entry);
      return logger.has("can be read again", "info");
    });
  });

  it("DESIGN-6: of those that hang two are waited for, however many there are; what was known to be ours is ours still", async () => {
    for (const pid of [101, 102, 103, 104]) await makeProcess(pid, `${entry}\0`);
    expect(await table.withEnvironment(entry)).toEqual([101, 102, 103, 104]);
    // Not known before.
    await makeProcess(105, `${entry}\0`);
    for (const pid of [101, 102, 105]) await stick(pid);
    expect(await lookPast(2)).toEqual([101, 102, 103, 104]);
    // Two of four threads are left.
    expect(await readFile(join(dir.path, "104", "stat"), "latin1")).toContain("104");
    expect(logger.records.filter(({ message }) => message.includes("is stuck"))).toHaveLength(2);
  });

  it("DESIGN-6: its memory is told by what is resident, and that of others as before", async () => {
    for (const pid of [101, 102]) await makeProcess(pid, "");
    await stick(101, "smaps_rollup");
    await writeFile(join(dir.path, "102", "smaps_rollup"), "Rss: 9 kB\nPss:    2048 kB\n");
    const shares = Promise.all([101, 102].map((pid) => table.proportionalMib(pid)));
    await waitFor(async () => (await table.proportionalMib(102)) === 2);
    await ports.advance(2_000);
    expect(await shares).toEqual([null, 2]);
    expect(await table.list()).toMatchObject([{ residentMib: 100 }, { residentMib: 100 }]);
  });
});
