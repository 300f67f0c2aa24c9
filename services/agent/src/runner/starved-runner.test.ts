/** A machine that has nothing left to start a command with: real limits, in a process of its own. */
import { spawnSync } from "node:child_process";
import { chown, readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeTempDir, spawnScript, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const program = fileURLToPath(new URL("./starved-runner.test-helper.ts", import.meta.url));
/** An ordinary user, where there is the choice: root is not held to a number of processes. */
const account = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
/** Only Linux lets a limit be set on a process that runs; its tool is part of util-linux. */
const isProcessLimitThere = process.platform === "linux" && spawnSync("sh", ["-c", "prlimit --version"]).status === 0;

let dir: TempDir;

beforeEach(async () => {
  dir = await makeTempDir("starved");
  if (account.uid !== undefined) await chown(dir.path, account.uid, account.gid);
});
afterEach(() => dir.remove());

type Lack =
  | "files"
  | "processes"
  | "files at the end"
  | "files at the end of a leftover"
  | "threads at the end of a leftover";

/** What became of `true`: first with all that it takes, then without; or of the end of a command. */
async function outcomesWithout(lack: Lack): Promise<readonly unknown[]> {
  const script = await spawnScript(program, { args: [lack, dir.path], ...account });
  const ended = await script.ended();
  expect(script.output().trim().split("\n").at(-1), script.output()).toBe("DONE");
  expect(ended).toBe(0);
  return Array.from(script.output().matchAll(/^OUTCOME (.*)$/gm), ([, json = ""]): unknown => JSON.parse(json));
}

const started = { kind: "started", end: { exitCode: 0, signal: "" } };
const failedFor = (why: string) => ({
  kind: "failed",
  sentence: `the program "true" could not be started: ${why}`,
  isMachine: true,
});

// Windows has no such limits on a process.
describe.skipIf(process.platform === "win32")("a machine that can start nothing", () => {
  it("EMFILE: no file is left, or fewer than a start takes: it is the machine's failure, until they are back", async () => {
    const [first, ...others] = await outcomesWithout("files");
    const again = others.pop();
    expect(first).toMatchObject(started);
    expect(again).toMatchObject(started);
    // Two pipes have four ends.
    expect(others.length).toBeGreaterThanOrEqual(4);
    expect(others).toEqual(others.map(() => failedFor("the agent has too many files open")));
    expect(await readdir(join(dir.path, "work"))).toEqual([]);
  });

  it.runIf(isProcessLimitThere)("EAGAIN: no process is left: it is the machine's failure", async () => {
    const [first, ...others] = await outcomesWithout("processes");
    expect(first).toMatchObject(started);
    expect(others).toEqual([failedFor("the system allows no more processes")]);
    expect(await readdir(join(dir.path, "work"))).toEqual([]);
  });
});

// What cannot be looked at is not taken for gone. Elsewhere the table of processes is a program of its own, or tells nothing.
describe.runIf(process.platform === "linux")("a machine that can look at nothing", () => {
  it("asks what is to end all the same", async () => {
    expect(await outcomesWithout("files at the end")).toEqual([{ signal: "SIGTERM" }]);
  });

  it("ends what an earlier agent left when it can see it, and not before", async () => {
    const found = { toldEarly: false, count: 2, signal: "SIGTERM" };
    expect(await outcomesWithout("files at the end of a leftover")).toEqual([found]);
  });

  it.runIf(isProcessLimitThere)(
    "I6: a look for which the system gives no thread says of nobody that he is gone",
    async () => {
      const found = { toldEarly: false, count: 2, signal: "SIGTERM" };
      expect(await outcomesWithout("threads at the end of a leftover")).toEqual([found]);
    },
  );
});
