import type { ChildProcess } from "node:child_process";
import { createDeferred, withTimeout, type Logger, type Ports } from "@headroom/runtime";
import type { ChildCpu } from "./child-cpu.ts";
import { Freezer } from "./freezer.ts";
import { endGroup, type ProcessGroup, untilSeenTwice } from "./process-group.ts";
import type { OutputSink, Run, RunEnd, RunExit } from "./runner.ts";
import { TakenOutput } from "./take-output.ts";

export interface FollowRunOptions {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly group: ProcessGroup;
  readonly sink: OutputSink;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly childCpu: ChildCpu;
  /** Never rejects, and says itself what fails. */
  afterwards(): Promise<void>;
}

/** TERM to KILL, for what a command leaves behind by itself. */
const leftBehindGraceMs = 10_000;
/** Ordinary folders are removed by then; a huge one, or one on a slow disk, is no reason to hold back a result. */
const afterwardsLimitMs = 1_000;

/** Follows a process to the end of its whole group. Attaches its listeners before it returns. */
export function followRun(options: FollowRunOptions): Omit<Run, "startToken"> {
  const { child, group, sink, ports, logger } = options;
  const { timers } = ports;
  const endAsked = createDeferred();
  let graceMs: number | null = null;
  let exited = false;
  const isOurs = (): boolean => !exited;
  const freezer = new Freezer(group, { timers, logger, isOurs });

  const exit = new Promise<RunExit>((resolve) => {
    child.once("exit", (exitCode, signal) => {
      exited = true;
      const cpuMs = options.childCpu.takeMs();
      resolve({ exitCode, signal: signal ?? "", cpuMs, endedAtMs: ports.clock.now() });
    });
  });
  const output = new TakenOutput({ stdout: child.stdout, stderr: child.stderr, sink, ports, logger });

  async function follow(): Promise<RunEnd> {
    const ending = endAsked.promise.then(() => endAll());
    const ended = await exit;
    const left = await untilSeenTwice(
      async () => (await group.left()).pids,
      (pids) => pids.length === 0,
      { timers, logger },
    );
    if (left.length > 0 && graceMs === null) end(leftBehindGraceMs);
    if (graceMs !== null) await ending;
    await output.drain();
    const endedAtMs = ports.clock.now();
    await startAfterwards();
    return { ...ended, endedAtMs, leftBehind: left.length };
  }

  function endAll(): Promise<number> {
    const { clock } = ports;
    return endGroup(group, { clock, timers, logger, graceMs: () => graceMs ?? leftBehindGraceMs, isOurs });
  }

  /** Waits for it a moment; after that it goes on in the background. */
  async function startAfterwards(): Promise<void> {
    const late = new Error("not done in time");
    await withTimeout(timers, afterwardsLimitMs, options.afterwards(), () => late).catch((error: unknown) => {
      logger.debug({ err: error }, "what follows a task's end goes on in the background");
    });
  }

  function end(newGraceMs: number): void {
    graceMs = Math.min(graceMs ?? Number.POSITIVE_INFINITY, newGraceMs);
    freezer.stopLooking();
    endAsked.resolve();
  }

  return {
    pid: options.pid,
    startedAtMs: options.startedAtMs,
    exited: exit,
    ended: follow(),
    hasExited: () => exited,
    isFreezable: group.isFreezable,
    end,
    freeze: () => freezer.freeze(),
    thaw: () => freezer.thaw(),
  };
}
