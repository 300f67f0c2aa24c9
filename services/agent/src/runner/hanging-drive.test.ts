/**
 * A drive that is away: whoever looks at it waits in the kernel, and cannot be called back. A pipe that nobody writes to stands for it: to open
 * it takes one of this process's four threads in the same way.
 */
import { execFileSync } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { chmod, copyFile, mkdir, open, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { systemPorts, type Timers } from "@headroom/runtime";
import { captureLogger, makeTempDir, waitFor, type CapturingLogger, type TempDir } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemProcessTable } from "../processes/system-table.ts";
import { systemLooks } from "./find-program.ts";
import { lookLimitMs } from "./look-line.ts";
import type { ProcessRunner, RunSpec, RunStart } from "./runner.ts";
import { systemRunner } from "./system-runner.ts";

let dir: TempDir;
let runner: ProcessRunner;
let logger: CapturingLogger;
/** Timers of the limit go by hand, all others by themselves. */
let limits: Set<() => void>;
/** Paths that were looked at on the drive. */
let looked: string[];
let waiting: number;
let writer: number | undefined;

const handTimers: Timers = {
  after(delayMs, fn, options) {
    if (delayMs !== lookLimitMs) return systemPorts.timers.after(delayMs, fn, options);
    const call = (): void => fn();
    limits.add(call);
    return { cancel: () => void limits.delete(call) };
  },
};

beforeEach(async () => {
  dir = await makeTempDir("hanging");
  logger = captureLogger();
  limits = new Set();
  looked = [];
  waiting = 0;
  execFileSync("mkfifo", [join(dir.path, "pipe")]);
  runner = systemRunner({
    ports: { ...systemPorts, timers: handTimers },
    logger,
    processes: systemProcessTable(),
    freshDir: join(dir.path, "work"),
    env: process.env,
    looks: {
      async stat(path) {
        if (!path.startsWith("/away")) return stat(path);
        await untilDriveIsBack(path);
        return stat("/");
      },
      async readStart(path) {
        if (path.startsWith(cached())) await untilDriveIsBack(path);
        return systemLooks.readStart(path);
      },
      async askFor(path) {
        if (path.startsWith(cached())) await untilDriveIsBack(path);
        return systemLooks.askFor(path);
      },
    },
  });
});

/** A folder of a drive that is away: what is in it is told by a cache, and not what is in its files. */
const cached = (): string => join(dir.path, "cached");

async function untilDriveIsBack(path: string): Promise<void> {
  looked.push(path);
  waiting += 1;
  await (await open(join(dir.path, "pipe"), "r")).close();
  waiting -= 1;
}

afterEach(async () => {
  driveIsBack();
  await waitFor(() => waiting === 0);
  if (writer !== undefined) closeSync(writer);
  writer = undefined;
  await dir.remove();
});

/** Answers whoever waits, and will. */
function driveIsBack(): void {
  writer ??= openSync(join(dir.path, "pipe"), "r+");
}

function limitPasses(): void {
  for (const call of [...limits]) {
    limits.delete(call);
    call();
  }
}

let starts = 0;

function start(more: Partial<RunSpec>, signal?: AbortSignal): Promise<RunStart> {
  starts += 1;
  const attemptId = `00000000-0000-4000-8000-${String(process.pid * 1_000 + starts).padStart(12, "0")}`;
  const spec = {
    attemptId,
    taskId: "t",
    planId: "p",
    argv: ["true"],
    env: {},
    workingDir: "",
    cards: [],
    ...more,
  };
  return runner.start(spec, () => Promise.resolve(), undefined, signal);
}

/** How a start ends of which nothing is in the way. */
async function startToEnd(more: Partial<RunSpec> = {}): Promise<unknown> {
  const outcome = await start(more);
  return outcome.kind === "started" ? (await outcome.run.ended).exitCode : outcome;
}

const isHanging = (): Promise<unknown> => waitFor(() => looked.length > 0);

describe.skipIf(process.platform === "win32")("a drive that does not answer", () => {
  it("is the machine's failure after the limit; what names no path of its own starts all the same", async () => {
    const ran = join(dir.path, "ran");
    const outcomes = [1, 2, 3, 4, 5, 6].map((n) => start({ workingDir: `/away/${n}`, argv: ["touch", ran] }));
    await isHanging();
    // Six of them, and files are read and written.
    await writeFile(join(dir.path, "note"), "text");
    expect(await readFile(join(dir.path, "note"), "utf8")).toBe("text");
    expect(await startToEnd()).toBe(0);
    limitPasses();
    const late = "did not answer within 30 s: one may be on a network drive that is away";
    for (const [index, outcome] of (await Promise.all(outcomes)).entries()) {
      const sentence = `the working folder "/away/${index + 1}" and the program "touch" ${late}`;
      expect(outcome).toEqual({ kind: "failed", sentence, isMachine: true });
      expect(logger.records[index]).toMatchObject({ level: "warn", fields: { folder: `/away/${index + 1}` } });
    }
    expect(looked).toEqual(["/away/1"]);
    driveIsBack();
    await waitFor(async () => (await startToEnd({ workingDir: dir.path })) === 0);
    expect(existsSync(ran)).toBe(false);
  });

  it("while one look hangs no other is made, and ends at once in the same way", async () => {
    const first = start({ workingDir: "/away" });
    await isHanging();
    limitPasses();
    expect(await first).toMatchObject({ isMachine: true });
    expect(await start({ workingDir: "/away/too" })).toMatchObject({
      kind: "failed",
      isMachine: true,
      sentence: expect.stringContaining("an earlier look at such paths hangs"),
    });
    expect(await start({ argv: ["/away/program"] })).toMatchObject({ isMachine: true });
    expect(looked).toEqual(["/away"]);
    expect(await startToEnd()).toBe(0);
  });

  it("a program there is the same, also in PATH, and the fresh folder goes when it is known", async () => {
    const named = start({ argv: ["/away/program"] });
    const inPath = start({ argv: ["no-such-program"], env: { PATH: "/away/bin" } });
    await waitFor(() => looked.length === 2);
    limitPasses();
    expect([await named, await inPath]).toMatchObject([{ isMachine: true }, { isMachine: true }]);
    expect(await readdir(join(dir.path, "work"))).toHaveLength(2);
    await writeFile(join(dir.path, "note"), "two threads are left");
    driveIsBack();
    await waitFor(async () => (await readdir(join(dir.path, "work"))).length === 0);
  });

  it("what is wanted no more is answered at once, and never runs; its look hangs on, and is known to", async () => {
    const ran = join(dir.path, "ran");
    const ended = new AbortController();
    const outcome = start({ workingDir: "/away", argv: ["touch", ran] }, ended.signal);
    const next = new AbortController();
    const waiting = start({ workingDir: "/away/too", argv: ["touch", ran] }, next.signal);
    await isHanging();
    ended.abort();
    next.abort();
    expect([await outcome, await waiting]).toEqual([{ kind: "withheld" }, { kind: "withheld" }]);
    expect(await start({}, AbortSignal.abort())).toEqual({ kind: "withheld" });
    limitPasses();
    expect(await start({ workingDir: "/away/then" })).toMatchObject({ isMachine: true });
    driveIsBack();
    await waitFor(async () => (await startToEnd({ workingDir: dir.path })) === 0);
    expect(looked).toEqual(["/away"]);
    expect(existsSync(ran)).toBe(false);
  });

  it("starts nothing that only a cache has answered for: a folder, a program, or a script whose interpreter is there", async () => {
    await mkdir(cached());
    const program = join(cached(), "program");
    const script = join(dir.path, "script");
    await writeFile(program, "#!/bin/sh\n", { mode: 0o755 });
    await writeFile(script, `#! ${program} -e\n`, { mode: 0o755 });
    for (const spec of [{ workingDir: cached() }, { argv: [program] }, { argv: [script] }]) {
      looked = [];
      const outcome = start(spec);
      await isHanging();
      expect(looked).toEqual([expect.stringContaining(spec.workingDir ?? program)]);
      limitPasses();
      expect(await outcome).toMatchObject({ kind: "failed", isMachine: true });
      driveIsBack();
      await waitFor(async () => (await startToEnd({ workingDir: dir.path })) === 0);
      closeSync(writer ?? 0);
      writer = undefined;
    }
    driveIsBack();
    await waitFor(async () => (await startToEnd({ argv: [script] })) === 0);
  });

  it("starts what the agent's user may execute and not read, in a folder that it may enter and not list", async () => {
    const folder = join(dir.path, "entered");
    await mkdir(folder);
    await copyFile("/bin/true", join(dir.path, "program"));
    await chmod(join(dir.path, "program"), 0o111);
    await chmod(folder, 0o111);
    expect(await startToEnd({ argv: [join(dir.path, "program")], workingDir: folder })).toBe(0);
  });
});
