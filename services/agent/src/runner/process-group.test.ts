/** What one look at the processes misses: real processes, seen through a table that looks at the worst moment. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { captureLogger, makeTempDir, waitFor } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nothingMarked, unknownStart, type ProcessTable } from "../processes/process-table.ts";
import { systemProcessTable } from "../processes/system-table.ts";
import { endGroup, ProcessGroup } from "./process-group.ts";
import { systemRunner } from "./system-runner.ts";
import { attemptMarker } from "./task-environment.ts";
import { unreadLimitAtStopMs, unreadLimitMs } from "./unread-wait.ts";

const processes = systemProcessTable();
const { clock, timers } = systemPorts;
const look = { clock, timers, logger: silentLogger, graceMs: () => 10_000, isOurs: () => false };
/** Above all that Linux gives: what is found is found by its mark. */
const noGroup = 5_000_000;
let tests = 0;
let attemptId: string;
let started: ChildProcessByStdio<Writable, Readable, null>[];

beforeEach(() => {
  tests += 1;
  attemptId = `process-group-${process.pid}-${tests}`;
  started = [];
});
afterEach(() => {
  for (const { pid } of started) if (pid !== undefined) end(-pid);
});

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** A process with the attempt's mark, in a group of its own. */
async function startMarked(script: string): Promise<ChildProcessByStdio<Writable, Readable, null>> {
  const child = spawn("sh", ["-c", `echo ready; ${script}`], {
    env: { ...process.env, HEADROOM_ATTEMPT_ID: attemptId },
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
  });
  started.push(child);
  await once(child.stdout, "data");
  return child;
}

/** Answers the number of a process that is no child of this one. */
async function startGrandchild(): Promise<number> {
  const parent = await startMarked("read line; sleep 1000 & echo $!; wait");
  const told = once(parent.stdout, "data");
  parent.stdin.write("go\n");
  return Number(String((await told)[0]));
}

async function alive(): Promise<readonly number[]> {
  const { found } = await processes.withEnvironment(attemptMarker(attemptId), null);
  return found.map(({ pid }) => pid);
}

/** Its first `blind` lists lack the attempt's processes, as when each forks while its row is read. */
function missing(blind: number): ProcessTable {
  let left = blind;
  return {
    ...processes,
    async list() {
      left -= 1;
      const rows = await processes.list();
      if (left < 0 || rows === null) return rows;
      const marked = new Set(await alive());
      return rows.filter((row) => !marked.has(row.pid));
    },
  };
}

// Windows tells of no environments.
describe.skipIf(process.platform === "win32")("ProcessGroup", () => {
  it("finds what a process of the attempt starts in the middle of a look", async () => {
    const parent = await startMarked("read line; sleep 1000 & echo $!; wait");
    const startOne = async (): Promise<number> => {
      const told = once(parent.stdout, "data");
      parent.stdin.write("go\n");
      return Number(String((await told)[0]));
    };
    let between: number | null = null;
    const afterFirst = async <Seen>(seen: Promise<Seen>): Promise<Seen> => {
      const first = await seen;
      between ??= await startOne();
      return first;
    };
    const table: ProcessTable = {
      ...processes,
      list: () => afterFirst(processes.list()),
      withEnvironment: (entry, since) => afterFirst(processes.withEnvironment(entry, since)),
    };
    const { pids } = await new ProcessGroup({ groupId: noGroup, attemptId, processes: table }).members(true);
    expect(pids.toSorted((one, other) => one - other)).toEqual([parent.pid, between]);
  });

  it("DESIGN-5: is asked at once, whatever a look for those that have left it waits for; they are asked when it shows them", async () => {
    const child = await startMarked("exec sleep 1000");
    const stray = await startMarked("exec sleep 1000");
    const exited = once(child, "exit");
    const strayExited = once(stray, "exit");
    let goOn: () => void = () => undefined;
    const mayGoOn = new Promise<void>((resolve) => (goOn = resolve));
    const slow = {
      ...processes,
      async withEnvironment(entry: string, since: string | null) {
        await mayGoOn;
        return processes.withEnvironment(entry, since);
      },
    };
    const ended = endGroup(new ProcessGroup({ groupId: child.pid ?? 0, attemptId, processes: slow }), {
      ...look,
      isOurs: () => true,
    });
    expect(await exited).toEqual([null, "SIGTERM"]);
    expect(stray.signalCode).toBeNull();
    goOn();
    expect(await strayExited).toEqual([null, "SIGTERM"]);
    expect(await ended).toBe(2);
  });

  /** What has left the group cannot be looked at until `goOn`. */
  function withSlowMarks(): { table: ProcessTable; goOn: () => void; looks: () => number } {
    let looks = 0;
    let goOn: () => void = () => undefined;
    const mayGoOn = new Promise<void>((resolve) => (goOn = resolve));
    const table: ProcessTable = {
      ...processes,
      async withEnvironment(entry, since) {
        looks += 1;
        await mayGoOn;
        return processes.withEnvironment(entry, since);
      },
    };
    return { table, goOn, looks: () => looks };
  }

  /** It heeds no TERM. */
  async function startDeaf(): Promise<ChildProcessByStdio<Writable, Readable, null>> {
    const child = await startMarked("trap '' TERM; read line; echo set; while :; do sleep 0.05; done");
    const set = once(child.stdout, "data");
    child.stdin.write("go\n");
    await set;
    return child;
  }

  it("DESIGN-5: is killed when its grace is over by the clock, whatever a look for those that have left it waits for", async () => {
    const child = await startDeaf();
    const exited = once(child, "exit");
    const { table, goOn } = withSlowMarks();
    const ended = endGroup(new ProcessGroup({ groupId: child.pid ?? 0, attemptId, processes: table }), {
      ...look,
      graceMs: () => 300,
    });
    expect(await exited).toEqual([null, "SIGKILL"]);
    goOn();
    await ended;
  });

  it("DESIGN-5: is killed when its grace becomes shorter in the middle of such a look", async () => {
    const child = await startDeaf();
    const exited = once(child, "exit");
    const { table, goOn, looks } = withSlowMarks();
    let graceMs = 1_000_000;
    const ended = endGroup(new ProcessGroup({ groupId: child.pid ?? 0, attemptId, processes: table }), {
      ...look,
      graceMs: () => graceMs,
    });
    await waitFor(() => looks() === 1);
    graceMs = 0;
    expect(await exited).toEqual([null, "SIGKILL"]);
    goOn();
    await ended;
  });

  it("I6: is not gone while a process cannot be read that may be of it, and the log names it", async () => {
    const pid = await startGrandchild();
    const startToken = (await processes.startToken(pid)) ?? "";
    let looks = 0;
    const logger = captureLogger();
    const table: ProcessTable = {
      ...processes,
      withEnvironment() {
        looks += 1;
        return Promise.resolve({ found: [], unread: looks < 4 ? [{ pid, startToken }] : [] });
      },
    };
    expect(
      await endGroup(new ProcessGroup({ groupId: noGroup, attemptId, processes: table }), { ...look, logger }),
    ).toBe(0);
    // Two looks that show nothing, after those that could not tell.
    expect(looks).toBe(5);
    const { err } = logger.records[0]?.fields ?? {};
    expect(String(err)).toContain(`of the processes ${pid}, and they may be the task's`);
  });

  it("I6: who cannot be read is none of it if he is of another attempt, or what this program has started for itself", async () => {
    const pid = await startGrandchild();
    const [parent] = started;
    const those = await Promise.all(
      [pid, parent?.pid ?? 0].map(async (one) => ({ pid: one, startToken: (await processes.startToken(one)) ?? "" })),
    );
    const table: ProcessTable = { ...processes, withEnvironment: () => Promise.resolve({ found: [], unread: those }) };
    const options = { groupId: noGroup, attemptId, processes: table };
    // The other one is a child of this program.
    expect(await new ProcessGroup(options).members(true)).toMatchObject({ unread: [pid] });
    const groups = new Set([parent?.pid ?? 0]);
    expect(await new ProcessGroup({ ...options, groups }).left()).toMatchObject({ pids: [], unread: [] });
  });

  it("I6: nobody is of it who only has a number that was of it: neither its first process's, nor that of one found by its mark", async () => {
    const stranger = await startMarked("exec sleep 1000");
    const pid = stranger.pid ?? 0;
    const before: ProcessTable = {
      ...processes,
      withEnvironment: () =>
        Promise.resolve({ found: [{ pid, startToken: "boot 1" }], unread: [{ pid, startToken: "boot 1" }] }),
    };
    const nobody = { pids: [], hasGroup: false, unread: [] };
    const options = { attemptId, processes: before };
    expect(await new ProcessGroup({ ...options, groupId: noGroup }).members(true)).toEqual(nobody);
    expect(await new ProcessGroup({ ...options, groupId: pid, startToken: "boot 1" }).members(true)).toEqual(nobody);
    const windows: ProcessTable = { ...before, list: () => Promise.resolve(null) };
    const onWindows = { groupId: pid, attemptId, processes: windows };
    expect(await new ProcessGroup({ ...onWindows, startToken: "windows 1" }).members(false)).toEqual(nobody);
    expect(await new ProcessGroup({ ...onWindows, startToken: unknownStart }).members(false)).toMatchObject({
      pids: [pid],
    });
  });

  it("asks what it starts in order to tidy up to end no more than once its grace is over", async () => {
    const child = await startMarked(
      `trap 'sh -c "sleep 0.5; echo tidy"; exit 0' TERM; read line; echo set; while :; do sleep 0.02; done`,
    );
    let text = "";
    child.stdout.on("data", (data: Buffer) => (text += data.toString()));
    child.stdin.write("go\n");
    await waitFor(() => text.includes("set"));
    await endGroup(new ProcessGroup({ groupId: child.pid ?? 0, attemptId, processes: processes }), {
      ...look,
      isOurs: () => true,
    });
    expect(text).toContain("tidy");
  });

  it("DESIGN-5: without a grace is killed at once, and what is frozen does not go on before", async () => {
    const child = await startMarked("read line; echo went on; sleep 1000");
    let text = "";
    child.stdout.on("data", (data: Buffer) => (text += data.toString()));
    const exited = once(child, "exit");
    process.kill(-(child.pid ?? 0), "SIGSTOP");
    child.stdin.write("go\n");
    await endGroup(new ProcessGroup({ groupId: child.pid ?? 0, attemptId, processes: processes }), {
      ...look,
      graceMs: () => 0,
    });
    expect(await exited).toEqual([null, "SIGKILL"]);
    expect(text).toBe("");
  });

  it("is not gone after one look that shows nothing", async () => {
    const child = await startMarked("exec sleep 1000");
    const exited = once(child, "exit");
    expect(await endGroup(new ProcessGroup({ groupId: noGroup, attemptId, processes: missing(1) }), look)).toBe(1);
    expect(await exited).toEqual([null, "SIGTERM"]);
  });
});

describe.skipIf(process.platform === "win32")("systemRunner", () => {
  async function runnerWith(table: ProcessTable) {
    const dir = await makeTempDir("looks");
    const { env } = process;
    const runner = systemRunner({
      ports: systemPorts,
      logger: silentLogger,
      processes: table,
      freshDir: dir.path,
      env,
    });
    return { runner, remove: () => dir.remove() };
  }

  it("ends what a command has left behind although the first look after its exit misses it", async () => {
    const { runner, remove } = await runnerWith(missing(1));
    const argv = ["sh", "-c", "setsid sleep 1000 & sleep 0.3"];
    const spec = { attemptId, taskId: "task", planId: "plan", argv, env: {}, workingDir: "", cards: [] };
    const outcome = await runner.start(spec, () => Promise.resolve());
    if (outcome.kind !== "started") throw new Error(JSON.stringify(outcome));
    const { leftBehind } = await outcome.run.ended;
    const left = await alive();
    for (const pid of left) end(pid);
    expect({ leftBehind, left }).toEqual({ leftBehind: 1, left: [] });
    await remove();
  });

  /** A runner that can never read what this process carries, and whose time goes on when it is told to. */
  async function runnerBesideStuck(pid: number) {
    const dir = await makeTempDir("looks");
    const startToken = (await processes.startToken(pid)) ?? "";
    const logger = captureLogger();
    let skippedMs = 0;
    const ports = { ...systemPorts, clock: { ...clock, monotonic: () => clock.monotonic() + skippedMs } };
    const table: ProcessTable = {
      ...processes,
      withEnvironment: () => Promise.resolve({ found: [], unread: [{ pid, startToken }] }),
    };
    const runner = systemRunner({ ports, logger, processes: table, freshDir: dir.path, env: process.env });
    const argv = [process.execPath, "-e", "process.exit(3)"];
    const spec = { attemptId, taskId: "task", planId: "plan", argv, env: {}, workingDir: "", cards: [] };
    const waiting = (): number =>
      logger.records.filter(({ message }) => message.includes("cannot be looked at")).length;
    const isGivenUp = (): boolean => logger.has("taken for somebody else's", "error");
    const skip = (ms: number): void => void (skippedMs += ms);
    return { runner, spec, skip, waiting, isGivenUp, remove: () => dir.remove() };
  }

  it("I6, I9: a result waits three minutes for a process that cannot be read, which the log then names, and is told as it was", async () => {
    const pid = await startGrandchild();
    const { runner, spec, skip, waiting, isGivenUp, remove } = await runnerBesideStuck(pid);
    const outcome = await runner.start(spec, () => Promise.resolve());
    if (outcome.kind !== "started") throw new Error(JSON.stringify(outcome));
    const leftover = runner.endLeftover({ attemptId: "old", pid: null, startToken: null, startedAtMs: null }, 1_000);
    await waitFor(() => waiting() === 2);
    expect(isGivenUp()).toBe(false);
    expect(await outcome.run.exited).toMatchObject({ exitCode: 3 });
    skip(unreadLimitMs);
    expect(await outcome.run.ended).toMatchObject({ exitCode: 3, leftBehind: 0 });
    expect(await leftover).toBe(0);
    expect(isGivenUp()).toBe(true);
    expect(await processes.startToken(pid)).not.toBeNull();
    await remove();
  });

  it("I6, I9: a program that stops waits five seconds for it, so that the result is written before its end", async () => {
    const { runner, spec, skip, waiting, remove } = await runnerBesideStuck(await startGrandchild());
    const outcome = await runner.start(spec, () => Promise.resolve());
    if (outcome.kind !== "started") throw new Error(JSON.stringify(outcome));
    await waitFor(() => waiting() === 1);
    skip(unreadLimitAtStopMs);
    runner.stopping?.();
    expect(await outcome.run.ended).toMatchObject({ exitCode: 3 });
    await remove();
  });

  it("ends what an earlier agent left, known by its first process, without a look for what has left its group", async () => {
    const child = await startMarked("exec sleep 1000");
    let goOn: () => void = () => undefined;
    const mayGoOn = new Promise<void>((resolve) => (goOn = resolve));
    const { runner, remove } = await runnerWith({
      ...processes,
      async withEnvironment(entry: string, since: string | null) {
        await mayGoOn;
        return processes.withEnvironment(entry, since);
      },
    });
    const exited = once(child, "exit");
    const pid = child.pid ?? 0;
    const count = runner.endLeftover(
      { attemptId, pid, startToken: await processes.startToken(pid), startedAtMs: null },
      10_000,
    );
    expect(await exited).toEqual([null, "SIGTERM"]);
    goOn();
    expect(await count).toBe(1);
    await remove();
  });

  it("leaves alone what cannot be told from a stranger, as on a Windows that does not tell when a process was started", async () => {
    const child = await startMarked("read line; echo still here; sleep 1000");
    const pid = child.pid ?? 0;
    const { runner, remove } = await runnerWith({
      list: () => Promise.resolve(null),
      startToken: async (asked) => ((await processes.startToken(asked)) === null ? null : unknownStart),
      wasStartedAt: () => Promise.resolve(null),
      withEnvironment: () => Promise.resolve(nothingMarked),
      proportionalMib: () => Promise.resolve(null),
    });
    for (const startToken of [unknownStart, "windows 1"])
      expect(await runner.endLeftover({ attemptId, pid, startToken, startedAtMs: 1 }, 1_000)).toBeNull();
    const told = once(child.stdout, "data");
    child.stdin.write("go\n");
    expect(String((await told)[0])).toContain("still here");
    expect(await runner.endLeftover({ attemptId, pid: noGroup, startToken: unknownStart, startedAtMs: 1 }, 1_000)).toBe(
      0,
    );
    await remove();
  });

  it("V8: ends what has a leftover's number where the moment of its start tells that it is the same", async () => {
    const child = await startMarked("exec sleep 1000");
    const exited = once(child, "exit");
    const { runner, remove } = await runnerWith({
      ...processes,
      list: () => Promise.resolve(null),
      startToken: async (asked) => ((await processes.startToken(asked)) === null ? null : "windows 7"),
      wasStartedAt: (_pid, atMs) => Promise.resolve(atMs === 5_000),
    });
    const leftover = { attemptId: "another", pid: child.pid ?? 0, startToken: unknownStart };
    expect(await runner.endLeftover({ ...leftover, startedAtMs: 4_000 }, 10_000)).toBe(0);
    const count = runner.endLeftover({ ...leftover, startedAtMs: 5_000 }, 10_000);
    expect(await exited).toEqual([null, "SIGTERM"]);
    expect(await count).toBe(1);
    await remove();
  });

  it("ends what an earlier agent left although the first look misses it", async () => {
    const { runner, remove } = await runnerWith(missing(1));
    const child = await startMarked("exec sleep 1000");
    const exited = once(child, "exit");
    expect(await runner.endLeftover({ attemptId, pid: null, startToken: null, startedAtMs: null }, 10_000)).toBe(1);
    expect(await exited).toEqual([null, "SIGTERM"]);
    await remove();
  });
});
