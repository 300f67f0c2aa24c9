/** What one look at the processes misses: real processes, seen through a table that looks at the worst moment. */
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { makeTempDir, waitFor } from "@headroom/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { unknownStart, type ProcessTable } from "../processes/process-table.ts";
import { systemProcessTable } from "../processes/system-table.ts";
import { endGroup, ProcessGroup } from "./process-group.ts";
import { systemRunner } from "./system-runner.ts";
import { attemptMarker } from "./task-environment.ts";

const processes = systemProcessTable();
const { timers } = systemPorts;
const look = { timers, logger: silentLogger, graceMs: () => 10_000, isOurs: () => false };
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

/** Its first `blind` lists lack the attempt's processes, as when each forks while its row is read. */
function missing(blind: number): ProcessTable {
  let left = blind;
  return {
    ...processes,
    async list() {
      left -= 1;
      const rows = await processes.list();
      if (left < 0 || rows === null) return rows;
      const marked = new Set(await processes.withEnvironment(attemptMarker(attemptId)));
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
    const group = new ProcessGroup(noGroup, attemptId, {
      ...processes,
      list: () => afterFirst(processes.list()),
      withEnvironment: (entry) => afterFirst(processes.withEnvironment(entry)),
    });
    const members = await group.members(true);
    expect(members.toSorted((one, other) => one - other)).toEqual([parent.pid, between]);
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
      async withEnvironment(entry: string) {
        await mayGoOn;
        return processes.withEnvironment(entry);
      },
    };
    const ended = endGroup(new ProcessGroup(child.pid ?? 0, attemptId, slow), { ...look, isOurs: () => true });
    expect(await exited).toEqual([null, "SIGTERM"]);
    expect(stray.signalCode).toBeNull();
    goOn();
    expect(await strayExited).toEqual([null, "SIGTERM"]);
    expect(await ended).toBe(2);
  });

  it("asks what it starts in order to tidy up to end no more than once its grace is over", async () => {
    const child = await startMarked(
      `trap 'sh -c "sleep 0.5; echo tidy"; exit 0' TERM; read line; echo set; while :; do sleep 0.02; done`,
    );
    let text = "";
    child.stdout.on("data", (data: Buffer) => (text += data.toString()));
    child.stdin.write("go\n");
    await waitFor(() => text.includes("set"));
    await endGroup(new ProcessGroup(child.pid ?? 0, attemptId, processes), { ...look, isOurs: () => true });
    expect(text).toContain("tidy");
  });

  it("DESIGN-5: without a grace is killed at once, and what is frozen does not go on before", async () => {
    const child = await startMarked("read line; echo went on; sleep 1000");
    let text = "";
    child.stdout.on("data", (data: Buffer) => (text += data.toString()));
    const exited = once(child, "exit");
    process.kill(-(child.pid ?? 0), "SIGSTOP");
    child.stdin.write("go\n");
    await endGroup(new ProcessGroup(child.pid ?? 0, attemptId, processes), { ...look, graceMs: () => 0 });
    expect(await exited).toEqual([null, "SIGKILL"]);
    expect(text).toBe("");
  });

  it("is not gone after one look that shows nothing", async () => {
    const child = await startMarked("exec sleep 1000");
    const exited = once(child, "exit");
    expect(await endGroup(new ProcessGroup(noGroup, attemptId, missing(1)), look)).toBe(1);
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
    const alive = await processes.withEnvironment(attemptMarker(attemptId));
    for (const pid of alive) end(pid);
    expect({ leftBehind, alive }).toEqual({ leftBehind: 1, alive: [] });
    await remove();
  });

  it("ends what an earlier agent left, known by its first process, without a look for what has left its group", async () => {
    const child = await startMarked("exec sleep 1000");
    let goOn: () => void = () => undefined;
    const mayGoOn = new Promise<void>((resolve) => (goOn = resolve));
    const { runner, remove } = await runnerWith({
      ...processes,
      async withEnvironment(entry: string) {
        await mayGoOn;
        return processes.withEnvironment(entry);
      },
    });
    const exited = once(child, "exit");
    const pid = child.pid ?? 0;
    const count = runner.endLeftover({ attemptId, pid, startToken: await processes.startToken(pid) }, 10_000);
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
      withEnvironment: () => Promise.resolve([]),
      proportionalMib: () => Promise.resolve(null),
    });
    for (const startToken of [unknownStart, "windows 1"])
      expect(await runner.endLeftover({ attemptId, pid, startToken }, 1_000)).toBeNull();
    const told = once(child.stdout, "data");
    child.stdin.write("go\n");
    expect(String((await told)[0])).toContain("still here");
    expect(await runner.endLeftover({ attemptId, pid: noGroup, startToken: unknownStart }, 1_000)).toBe(0);
    await remove();
  });

  it("ends what an earlier agent left although the first look misses it", async () => {
    const { runner, remove } = await runnerWith(missing(1));
    const child = await startMarked("exec sleep 1000");
    const exited = once(child, "exit");
    expect(await runner.endLeftover({ attemptId, pid: null, startToken: null }, 10_000)).toBe(1);
    expect(await exited).toEqual([null, "SIGTERM"]);
    await remove();
  });
});
