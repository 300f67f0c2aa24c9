import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import { createDeferred, withTimeout, type Logger, type Ports } from "@headroom/runtime";
import type { ChildCpu } from "./child-cpu.ts";
import { endGroup, type ProcessGroup, untilSeen } from "./process-group.ts";
import type { OutputSink, OutputSource, Run, RunEnd } from "./runner.ts";

export interface FollowRunOptions {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly group: ProcessGroup;
  readonly sink: OutputSink;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly childCpu: ChildCpu;
  afterwards(): Promise<void>;
}

/** TERM to KILL, for what a command leaves behind by itself. */
const leftBehindGraceMs = 10_000;
/** With all processes gone a pipe has ended; one that has not is held by a process that we cannot see, and is let go. */
const drainLimitMs = 5_000;

/** Follows a process to the end of its whole group. Attaches its listeners before it returns. */
export function followRun(options: FollowRunOptions): Omit<Run, "startToken"> {
  const { child, group, ports, logger } = options;
  const endAsked = createDeferred();
  let graceMs: number | null = null;
  let exited = false;
  let frozen = false;

  const exit = new Promise<{ code: number | null; signal: string; cpuMs: number | null }>((resolve) => {
    child.once("exit", (code, signal) => {
      exited = true;
      resolve({ code, signal: signal ?? "", cpuMs: options.childCpu.takeMs() });
    });
  });
  const output = Promise.all([take("stdout", child.stdout), take("stderr", child.stderr)]);

  async function take(source: OutputSource, stream: Readable | null): Promise<void> {
    if (stream === null) return;
    try {
      // Awaiting each piece lets the pipe fill: a command that writes faster than we store is slowed down, not buffered.
      for await (const data of stream) await options.sink(source, data as Buffer);
    } catch (error) {
      logger.debug({ err: error }, "a pipe of a task ended early");
    }
  }

  async function follow(): Promise<RunEnd> {
    const ending = endAsked.promise.then(() => endAll());
    const ended = await exit;
    const left = await untilSeen(() => group.members(true), { timers: ports.timers, logger });
    if (left.length > 0 && graceMs === null) end(leftBehindGraceMs);
    if (graceMs !== null) await ending;
    await drain();
    const endedAtMs = ports.clock.now();
    await options.afterwards();
    return { exitCode: ended.code, signal: ended.signal, cpuMs: ended.cpuMs, endedAtMs, leftBehind: left.length };
  }

  function endAll(): Promise<number> {
    const { timers } = ports;
    return endGroup(group, { timers, logger, graceMs: () => graceMs ?? leftBehindGraceMs, isOurs: () => !exited });
  }

  async function drain(): Promise<void> {
    const late = new Error("the pipe is still open");
    await withTimeout(ports.timers, drainLimitMs, output, () => late).catch(() => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    });
  }

  function end(newGraceMs: number): void {
    graceMs = Math.min(graceMs ?? Number.POSITIVE_INFINITY, newGraceMs);
    endAsked.resolve();
  }

  return {
    pid: options.pid,
    startedAtMs: options.startedAtMs,
    ended: follow(),
    hasExited: () => exited,
    end,
    freeze() {
      if (frozen || exited) return;
      frozen = true;
      group.signal("SIGSTOP");
    },
    thaw() {
      if (!frozen) return;
      frozen = false;
      group.signal("SIGCONT");
    },
  };
}
