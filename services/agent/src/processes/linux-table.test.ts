/**
 * A process that is stuck with the lock of its memory: whoever reads its environment waits in the kernel. A pipe that nobody writes to stands
 * for it in a folder like /proc: to open it takes as long.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import {
  captureLogger,
  makeTempDir,
  manualPorts,
  waitFor,
  type CapturingLogger,
  type TempDir,
} from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readAside } from "../read-aside.ts";
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
  // The thread is there: it takes longer to make than anything to read.
  await readAside("/proc/self/stat").catch(() => undefined);
  dir = await makeTempDir("proc");
  ports = manualPorts();
  logger = captureLogger();
  table = linuxProcessTable({ procDir: dir.path, ports, logger });
  pipes = [];
  deadlines = [];
});
afterEach(async () => {
  for (const child of deadlines) child.kill("SIGKILL");
  for (const path of pipes) await release(path);
  await dir.remove();
});

async function makeProcess(pid: number, environment: string, flags = 0, session = pid): Promise<void> {
  await mkdir(join(dir.path, String(pid)), { recursive: true });
  const fields = ["S", 1, pid, session, 0, -1, flags, ...Array.from({ length: 12 }, () => 0), 1_000 + pid, 0, 25_600];
  await writeFile(join(dir.path, String(pid), "stat"), `${pid} (a (b) c) ${fields.join(" ")}\n`);
  await writeFile(join(dir.path, String(pid), "environ"), environment);
}

/** In KiB, as the kernel writes it. */
function rollup({ pss = 0, anonymous = 0, shared = 0, locked = 0, swapped = 0 }): string {
  const lines = {
    Rss: 9,
    Pss: pss,
    Pss_Anon: anonymous,
    Pss_File: 7,
    Pss_Shmem: shared,
    SwapPss: swapped,
    Locked: locked,
  };
  return `555b0309e000-7ffce42b6000 ---p 00000000 00:00 0                          [rollup]\n${Object.entries(lines)
    .map(([name, kib]) => `${`${name}:`.padEnd(16)}${String(kib).padStart(8)} kB\n`)
    .join("")}`;
}

/** From now on whoever reads this file of the process waits, for twenty seconds should nothing else end it: longer than any test on a busy machine. */
async function stick(pid: number, file = "environ"): Promise<string> {
  const path = join(dir.path, String(pid), file);
  await rm(path, { force: true });
  execFileSync("mkfifo", [path]);
  deadlines.push(spawn("sh", ["-c", `sleep 20; exec timeout 5 sh -c ': > "$0"' "$0"`, path], { stdio: "ignore" }));
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

interface Pids {
  readonly found: readonly number[];
  readonly unread: readonly number[];
}

async function look(since: string | null = null): Promise<Pids> {
  const { found, unread } = await table.withEnvironment(entry, since);
  return { found: found.map(({ pid }) => pid), unread: unread.map(({ pid }) => pid) };
}

/** A look at all, in which so many hang, one after another. All that can be read have been by then. */
async function lookPast(hanging: number): Promise<Pids> {
  const looked = look();
  for (let n = 0; n < hanging; n += 1) await oneHangs();
  return looked;
}

/** Readings that wait for nothing also have a limit, for a moment: time passes only when the one under way is that of a pipe. */
async function oneHangs(): Promise<void> {
  const before = stuckTold();
  while (stuckTold() === before) {
    await waitFor(() => ports.timers.pendingDelays().includes(1_000));
    await pause(200);
    if (ports.timers.pendingDelays().includes(1_000)) await ports.advance(1_000);
  }
}

const stuckTold = (): number => logger.records.filter(({ message }) => message.includes("is stuck")).length;

describe.skipIf(process.platform === "win32")("a process whose memory is locked", () => {
  it("DESIGN-6: holds up nobody: others are found, files are read, and it is not asked again while it hangs", async () => {
    await makeProcess(101, `A=1\0${entry}\0`);
    await makeProcess(102, "A=1\0");
    await makeProcess(103, `${entry}\0`);
    await makeProcess(104, `${entry}\0`, 0x0020_0040);
    const pipe = await stick(102);
    // A kernel thread has no environment.
    expect(await lookPast(1)).toEqual({ found: [101, 103], unread: [102] });
    expect(logger.records.filter(({ level }) => level === "warn")).toMatchObject([
      { fields: { err: { message: "process 102 did not let itself be read within 1000 ms" } } },
    ]);
    // Nobody waits for it again: no time passes.
    expect(await look()).toEqual({ found: [101, 103], unread: [102] });
    expect(await table.startToken(102)).toContain("1102");
    await release(pipe);
    await waitFor(async () => {
      await look();
      return logger.has("can be read again", "info");
    });
    expect(await look()).toEqual({ found: [101, 103], unread: [] });
  });

  it("I6: two that hang hide nobody else; they may be the task's only if they began after it", async () => {
    for (const pid of [101, 102, 300]) await makeProcess(pid, `${entry}\0`);
    for (const pid of [101, 102]) await stick(pid);
    expect(await lookPast(2)).toEqual({ found: [300], unread: [101, 102] });
    expect(await look("unknown-boot 1102")).toEqual({ found: [300], unread: [102] });
    expect(await look("unknown-boot 1103")).toEqual({ found: [300], unread: [] });
    // Nothing is left of a task that began before this boot.
    expect(await look("another-boot 1")).toEqual({ found: [300], unread: [] });
  });

  it("I6: who is in a session that is older than a task is none of it; who is in one without a leader may be", async () => {
    await makeProcess(101, "A=1\0");
    await makeProcess(300, `${entry}\0`, 0, 101);
    await makeProcess(301, `${entry}\0`, 0, 99);
    for (const pid of [300, 301]) await stick(pid);
    expect(await lookPast(2)).toEqual({ found: [], unread: [300, 301] });
    expect(await look("unknown-boot 1101")).toEqual({ found: [], unread: [300, 301] });
    expect(await look("unknown-boot 1102")).toEqual({ found: [], unread: [301] });
  });

  it("I6: what was read before is known again: what had the mark has it still, and what had none is none of the task's", async () => {
    for (const pid of [101, 103]) await makeProcess(pid, `${entry}\0`);
    await makeProcess(102, "A=1\0");
    expect(await look()).toEqual({ found: [101, 103], unread: [] });
    await makeProcess(105, `${entry}\0`);
    for (const pid of [101, 102, 105]) await stick(pid);
    expect(await lookPast(3)).toEqual({ found: [101, 103], unread: [105] });
    expect(logger.records.filter(({ message }) => message.includes("is stuck"))).toHaveLength(3);
  });

  it("I6, I9: one look takes 5 s at most, whoever hangs; whom it has not read may be the task's, and those of the next looks are read", async () => {
    const stuck = [101, 102, 103, 104, 105, 106, 107, 108];
    for (const pid of [...stuck, 300, 301]) await makeProcess(pid, `${entry}\0`);
    for (const pid of stuck) await stick(pid);
    const looked = look();
    for (let n = 0; n < 5; n += 1) await oneHangs();
    expect(await looked).toEqual({ found: [], unread: [...stuck, 300, 301] });
    for (let n = 5; n < 8; n += 1) {
      expect(table.isBlind?.()).toBe(false);
      await oneHangs();
    }
    expect(table.isBlind?.()).toBe(true);
    expect(logger.has("no new work is taken", "error")).toBe(true);
    // Eight hang: nothing more can be read, and all other files are read and written.
    expect(await readFile(join(dir.path, "300", "stat"), "latin1")).toContain("300");
    expect(await look()).toEqual({ found: [], unread: [...stuck, 300, 301] });
  });

  it("DESIGN-6: shares of memory that hang keep no environment from being read", async () => {
    for (const pid of [101, 102]) await makeProcess(pid, `${entry}\0`);
    for (const pid of [101, 102]) await stick(pid, "smaps_rollup");
    const shares = Promise.all([101, 102].map((pid) => table.proportionalMib(pid)));
    await waitFor(() => ports.timers.pendingDelays().length === 2);
    await ports.advance(2_000);
    expect(await shares).toEqual([null, null]);
    expect(await look()).toEqual({ found: [101, 102], unread: [] });
  });

  it("DESIGN-6: its memory is told by what is resident, and that of others as before", async () => {
    for (const pid of [101, 102]) await makeProcess(pid, "");
    await stick(101, "smaps_rollup");
    await writeFile(join(dir.path, "102", "smaps_rollup"), rollup({ pss: 2_048, anonymous: 2_048 }));
    const shares = Promise.all([101, 102].map((pid) => table.proportionalMib(pid)));
    await waitFor(async () => (await table.proportionalMib(102)) === 2);
    await ports.advance(2_000);
    expect(await shares).toEqual([null, 2]);
    expect(await table.list()).toMatchObject([{ residentMib: 100 }, { residentMib: 100 }]);
  });
});

describe.skipIf(process.platform === "win32")("the memory of a process", () => {
  const tell = (pid: number, file: string, text: string): Promise<void> =>
    writeFile(join(dir.path, String(pid), file), text);

  it("DESIGN-3: is what the system counts as taken: pages of mapped files and what was swapped out are not", async () => {
    for (const pid of [101, 102]) await makeProcess(pid, "");
    // Maps a model of 40 GiB, and holds 2 GiB of its own and 1 GiB that it shares.
    await tell(
      101,
      "smaps_rollup",
      rollup({ pss: 45_088_768, anonymous: 2_097_152, shared: 1_048_576, swapped: 9_999 }),
    );
    expect(await table.proportionalMib(101)).toBe(3_072);
    // Locked pages of a file are not available to anybody.
    await tell(102, "smaps_rollup", rollup({ pss: 45_088_768, anonymous: 2_097_152, locked: 41_943_040 }));
    expect(await table.proportionalMib(102)).toBe(40_960);
  });

  it("DESIGN-3: is told by what is resident of it where its share is not to be read, or not divided", async () => {
    for (const pid of [101, 102, 103]) await makeProcess(pid, "");
    const status =
      "Name:\tx\nVmRSS:\t  90112 kB\nRssAnon:\t    2048 kB\nRssFile:\t   87040 kB\nRssShmem:\t    1024 kB\n";
    await tell(101, "status", status);
    expect(await table.proportionalMib(101)).toBe(3);
    await tell(102, "smaps_rollup", "Rss: 90112 kB\nPss:    70000 kB\n");
    await tell(102, "status", status);
    expect(await table.proportionalMib(102)).toBe(3);
    expect(await table.proportionalMib(103)).toBeNull();
  });

  it("DESIGN-3: a kernel that does not divide the share counts what 32 processes share once, and not 32 times", async () => {
    await makeProcess(101, "");
    await tell(101, "smaps_rollup", "Rss: 10485760 kB\nPss:    344064 kB\n");
    await tell(101, "status", "Name:\tx\nVmRSS:\t10485760 kB\nRssAnon:\t10485760 kB\nRssShmem:\t       0 kB\n");
    expect(await table.proportionalMib(101)).toBe(336);
  });
});
