import { execFile } from "node:child_process";
import { sleep, type Logger, type Timers } from "@headroom/runtime";
import { treeOf, type ProcessTable } from "../processes/process-table.ts";
import { attemptMarker } from "./task-environment.ts";

/** The processes of one attempt: its group, what descends from it, and what carries its mark in the environment. */
export class ProcessGroup {
  readonly #groupId: number;
  readonly #attemptId: string;
  readonly #processes: ProcessTable;
  readonly #platform: NodeJS.Platform;

  constructor(groupId: number, attemptId: string, processes: ProcessTable, platform = process.platform) {
    this.#groupId = groupId;
    this.#attemptId = attemptId;
    this.#processes = processes;
    this.#platform = platform;
  }

  /**
   * Pids that are alive (zombies are not). The group alone, unless `escaped` is asked for: to find those that have left it
   * costs a look at every process's environment.
   */
  async members(escaped: boolean): Promise<readonly number[]> {
    // The marks first: what is found by its mark then stands in the rows, and so do those that it has started since.
    const marked = escaped ? await this.#processes.withEnvironment(attemptMarker(this.#attemptId)) : [];
    const rows = await this.#processes.list();
    if (rows === null) return (await this.#processes.startToken(this.#groupId)) === null ? [] : [this.#groupId];
    const own = new Set(marked.filter((pid) => pid !== process.pid));
    return treeOf(rows, this.#groupId, own).map((row) => row.pid);
  }

  /** Sends a signal to the group and to the pids that have left it. Whoever is gone is not missed. */
  signal(signal: NodeJS.Signals, pids: readonly number[] = []): void {
    if (this.#platform === "win32") {
      // Windows has no groups: the tool ends the tree. STOP and CONT do not exist there.
      if (signal !== "SIGTERM" && signal !== "SIGKILL") return;
      const force = signal === "SIGKILL" ? ["/F"] : [];
      execFile("taskkill", ["/PID", String(this.#groupId), "/T", ...force], { timeout: 10_000 }, () => undefined);
      return;
    }
    send(-this.#groupId, signal);
    this.signalEach(
      signal,
      pids.filter((pid) => pid !== this.#groupId),
    );
  }

  /** Sends a signal to these alone, in this order. On Windows to none. */
  signalEach(signal: NodeJS.Signals, pids: readonly number[]): void {
    if (this.#platform === "win32") return;
    for (const pid of pids) send(pid, signal);
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: gone. EPERM: it changed its user; nothing that we could do.
  }
}

interface LookOptions {
  readonly timers: Timers;
  readonly logger: Logger;
}

export interface EndGroupOptions extends LookOptions {
  /** Read at each look, so that a shorter grace takes effect. */
  graceMs(): number;
  /** The first process has not been reaped: until then nobody else can have the group's number, and it may be signalled unseen. */
  isOurs(): boolean;
}

export const firstLookMs = 20;
export const longestLookMs = 500;
/** A process that forks while its row is being read is not seen, nor is its child: only a second look can tell that none is left. */
const secondLookMs = 20;
/** After this long with KILL sent, processes sit in the kernel (a dead network drive); said once. */
const stuckAfterMs = 30_000;

/**
 * Ends whatever is left of the group: TERM, after the grace KILL, without a grace KILL alone; and resolves when all are gone. That may take
 * long if the kernel holds one, and then its memory is in use all that time. The group is asked at once; those that have left it when a look
 * has found them, for that look reads of every process of the machine. Where the machine lacks what it takes to look, nothing is taken for
 * gone before it can. Answers how many there were at the beginning.
 */
export async function endGroup(group: ProcessGroup, options: EndGroupOptions): Promise<number> {
  const { timers, logger } = options;
  const lookNear = looking(() => group.members(false), logger);
  const lookFar = looking(() => group.members(true), logger);
  const found = new Set<number>();
  let waitedMs = 0;
  let isGroupAsked = false;
  let isAsked = false;
  let killedAtMs: number | null = null;
  let saidStuck = false;
  let wasEmpty = false;

  function ask(pids: readonly number[]): void {
    const isKill = options.graceMs() <= 0;
    // A frozen process takes a TERM only when it goes on. A KILL it takes as it is.
    for (const signal of isKill ? (["SIGKILL"] as const) : (["SIGTERM", "SIGCONT"] as const)) {
      if (isGroupAsked) group.signalEach(signal, pids);
      else group.signal(signal, pids);
    }
    isGroupAsked = true;
    if (isKill) killedAtMs ??= waitedMs;
    for (const pid of pids) found.add(pid);
  }

  const near = await lookNear();
  if (near === null ? options.isOurs() : near.length > 0) ask(near ?? []);
  for (let pauseMs = firstLookMs; ; pauseMs = Math.min(longestLookMs, pauseMs * 2)) {
    const alive = await lookFar();
    if (alive?.length === 0) {
      if (wasEmpty) return found.size;
      wasEmpty = true;
      await sleep(timers, secondLookMs);
      waitedMs += secondLookMs;
      continue;
    }
    wasEmpty = false;
    const maySignal = alive !== null || options.isOurs();
    if (maySignal && isGroupAsked && waitedMs >= options.graceMs()) {
      group.signal("SIGKILL", alive ?? []);
      killedAtMs ??= waitedMs;
    } else if (alive !== null && !isAsked) {
      // Not what the group has started since it was asked: by that it tidies up.
      const asked = isGroupAsked ? await lookNear() : [];
      if (asked !== null) ask(alive.filter((pid) => !asked.includes(pid)));
      isAsked = asked !== null;
    } else if (maySignal && !isGroupAsked) ask([]);
    if (!saidStuck && killedAtMs !== null && waitedMs - killedAtMs > stuckAfterMs) {
      saidStuck = true;
      logger.error(
        { pids: alive?.slice(0, 20) ?? [] },
        "processes do not end although they were killed; their room stays taken",
      );
    }
    const nextMs = maySignal && killedAtMs === null ? options.graceMs() - waitedMs : longestLookMs;
    const stepMs = Math.max(1, Math.min(pauseMs, nextMs));
    await sleep(timers, stepMs);
    waitedMs += stepMs;
  }
}

/** What a look shows, once one can be made. */
async function untilSeen<Seen>(find: () => Promise<Seen>, { timers, logger }: LookOptions): Promise<Seen> {
  const look = looking(find, logger);
  for (;;) {
    const seen = await look();
    if (seen !== null) return seen;
    await sleep(timers, longestLookMs);
  }
}

/** What two looks show, once they can be made, of which the second is made only if the first shows nothing. */
export async function untilSeenTwice<Seen>(
  find: () => Promise<Seen>,
  isNothing: (seen: Seen) => boolean,
  options: LookOptions,
): Promise<Seen> {
  const seen = await untilSeen(find, options);
  if (!isNothing(seen)) return seen;
  await sleep(options.timers, secondLookMs);
  return untilSeen(find, options);
}

/** Looks that answer null where one cannot be made, which is said once. */
export function looking<Seen>(find: () => Promise<Seen>, logger: Logger): () => Promise<Seen | null> {
  let saidBlind = false;
  return async () => {
    try {
      return await find();
    } catch (error) {
      if (!saidBlind) logger.error({ err: error }, "the machine's processes cannot be looked at; trying again");
      saidBlind = true;
      return null;
    }
  };
}
