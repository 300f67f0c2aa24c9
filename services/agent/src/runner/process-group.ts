import { execFile } from "node:child_process";
import { sleep, type Clock, type Logger, type Timer, type Timers } from "@headroom/runtime";
import {
  nothingMarked,
  treeOf,
  unknownStart,
  type ProcessIdentity,
  type ProcessRow,
  type ProcessTable,
} from "../processes/process-table.ts";
import { attemptMarker } from "./task-environment.ts";
import { UnreadProcessesError, type UnreadWait } from "./unread-wait.ts";

export interface ProcessGroupOptions {
  readonly groupId: number;
  readonly attemptId: string;
  readonly processes: ProcessTable;
  /** Of the first process; null: not known. */
  readonly startToken?: string | null | Promise<string | null>;
  /** Of something that began before the first process; null: not known. Default: `startToken`. */
  readonly since?: string | null | Promise<string | null>;
  readonly platform?: NodeJS.Platform;
  /** Of all attempts that are not gone: who is in another one's group or session is none of this one. */
  readonly groups?: ReadonlySet<number>;
  /** Default: what cannot be read is waited for as long as that takes. */
  readonly unreadWait?: UnreadWait;
}

/** What a look shows of an attempt's processes. */
export interface Members {
  /** That are alive; zombies are not. */
  readonly pids: readonly number[];
  /** Some of them are in the group itself: its number is theirs. */
  readonly hasGroup: boolean;
  /** Could not be read, and may be of it. */
  readonly unread: readonly number[];
}

/** The processes of one attempt: its group, what descends from it, and what carries its mark in the environment. */
export class ProcessGroup {
  readonly #options: ProcessGroupOptions;
  readonly #groupId: number;
  readonly #platform: NodeJS.Platform;
  readonly #groups: ReadonlySet<number>;

  constructor(options: ProcessGroupOptions) {
    this.#options = options;
    this.#groupId = options.groupId;
    this.#platform = options.platform ?? process.platform;
    this.#groups = options.groups ?? new Set();
  }

  /**
   * The group alone, unless `escaped` is asked for: to find those that have left it costs a look at every process's environment. Nobody is
   * taken for one of the group by a number alone: whoever has it now, and was not started when it was, is a stranger.
   */
  async members(escaped: boolean): Promise<Members> {
    const { processes, attemptId } = this.#options;
    const startToken = (await this.#options.startToken) ?? null;
    const since = (await this.#options.since) ?? startToken;
    // The marks first: what is found by its mark then stands in the rows, and so do those that it has started since.
    const marked = escaped ? await processes.withEnvironment(attemptMarker(attemptId), since) : nothingMarked;
    const rows = await processes.list();
    if (rows === null) {
      const startNow = await processes.startToken(this.#groupId);
      const hasGroup = startNow !== null && !areDifferent(startNow, startToken);
      return { pids: hasGroup ? [this.#groupId] : [], hasGroup, unread: [] };
    }
    const tokens = new Map(rows.map((row) => [row.pid, row.startToken]));
    const stillThere = (those: readonly ProcessIdentity[]): readonly number[] =>
      those.filter((one) => tokens.get(one.pid) === one.startToken).map(({ pid }) => pid);
    const own = new Set(stillThere(marked.found).filter((pid) => pid !== process.pid));
    // A group's number is given to no new process as long as one of the group lives.
    const isStrangers = areDifferent(tokens.get(this.#groupId) ?? null, startToken);
    const members = treeOf(rows, isStrangers ? null : this.#groupId, own);
    const pids = members.map((row) => row.pid);
    return {
      pids,
      hasGroup: !isStrangers && members.some((row) => row.groupId === this.#groupId),
      unread: stillUnread(marked.unread, rows, this.#groups).filter((pid) => !pids.includes(pid)),
    };
  }

  /** All that is left of it. Rejects where nobody is found, and some are waited for that may be of it and could not be read. */
  async left(): Promise<Members> {
    const members = await this.members(true);
    const { pids, unread } = members;
    if (pids.length > 0 || unread.length === 0) return members;
    const { unreadWait } = this.#options;
    if (unreadWait === undefined) throw new UnreadProcessesError(unread);
    unreadWait.check(unread);
    return members;
  }

  /** STOP and CONT do not exist on Windows. */
  get isFreezable(): boolean {
    return this.#platform !== "win32";
  }

  /** Sends a signal to the group and to the pids that have left it. Whoever is gone is not missed. On Windows a TERM ends it as a KILL does. */
  signal(signal: NodeJS.Signals, pids: readonly number[] = []): void {
    if (this.#platform === "win32") {
      // Windows has no groups: the tool ends the tree. Without /F it asks windows to close, which console programs have none of.
      if (signal !== "SIGTERM" && signal !== "SIGKILL") return;
      execFile("taskkill", ["/PID", String(this.#groupId), "/T", "/F"], { timeout: 10_000 }, () => undefined);
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

/**
 * Those that may be of an attempt whose own processes these are not: still there, in no other attempt's group or session, and no child of this
 * program, which is nobody's of a task unless it is a task's first. What has lost its parent is the child of the system's first process.
 */
export function stillUnread(
  unread: readonly ProcessIdentity[],
  rows: readonly ProcessRow[],
  groups: ReadonlySet<number>,
): readonly number[] {
  if (unread.length === 0) return [];
  const byPid = new Map(rows.map((row) => [row.pid, row]));
  const isOurChild = (row: ProcessRow): boolean => row.parentPid === process.pid && process.pid !== 1;
  return unread.flatMap(({ pid, startToken }) => {
    const row = byPid.get(pid);
    if (row?.startToken !== startToken || pid === process.pid || isOurChild(row)) return [];
    return groups.has(row.groupId) || groups.has(row.sessionId) ? [] : [pid];
  });
}

/** Both are known, and name two processes. */
function areDifferent(one: string | null, other: string | null): boolean {
  return one !== null && other !== null && one !== unknownStart && other !== unknownStart && one !== other;
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
  readonly clock: Clock;
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
 * long if the kernel holds one, and then its memory is in use all that time. The group is asked at once, and killed when its grace is over by
 * the clock; those that have left it when a look has found them, for that look reads of every process of the machine, and may take seconds.
 * Where the machine lacks what it takes to look, nothing is taken for gone before it can; what cannot be read is waited for as `unreadWait` says. Answers how many there were at the beginning.
 */
export async function endGroup(group: ProcessGroup, options: EndGroupOptions): Promise<number> {
  const { clock, timers, logger } = options;
  const lookNear = looking(() => group.members(false), logger);
  const lookFar = looking(() => group.left(), logger);
  const found = new Set<number>();
  const fromMs = clock.monotonic();
  const graceLeftMs = (): number => options.graceMs() - (clock.monotonic() - fromMs);
  let isGroupAsked = false;
  let isAsked = false;
  let killedAtMs: number | null = null;
  let saidStuck = false;
  let wasEmpty = false;

  /** The group may be signalled: it was seen, or nobody else can have its number. */
  const mayGroup = (seen: Members | null): boolean => seen?.hasGroup === true || options.isOurs();

  function ask(pids: readonly number[], seen: Members | null): void {
    const isKill = options.graceMs() <= 0;
    // A frozen process takes a TERM only when it goes on. A KILL it takes as it is.
    for (const signal of isKill ? (["SIGKILL"] as const) : (["SIGTERM", "SIGCONT"] as const)) {
      if (isGroupAsked || !mayGroup(seen)) group.signalEach(signal, pids);
      else group.signal(signal, pids);
    }
    isGroupAsked = true;
    if (isKill) killedAtMs ??= clock.monotonic();
    for (const pid of pids) found.add(pid);
  }

  function kill(seen: Members | null): void {
    if (mayGroup(seen)) group.signal("SIGKILL", seen?.pids);
    else group.signalEach("SIGKILL", seen?.pids ?? []);
    killedAtMs ??= clock.monotonic();
  }

  /** What a look shows that may take its time. The group's grace ends meanwhile all the same. */
  async function lookFarInGrace(): Promise<Members | null> {
    const look = lookFar();
    while (killedAtMs === null) {
      const seen = await within(timers, Math.max(1, Math.min(longestLookMs, graceLeftMs())), look);
      if (seen !== undefined) return seen;
      if (graceLeftMs() > 0) continue;
      const near = await lookNear();
      if (near === null ? options.isOurs() : near.pids.length > 0) kill(near);
      else break;
    }
    return look;
  }

  const near = await lookNear();
  if (near === null ? options.isOurs() : near.pids.length > 0) ask(near?.pids ?? [], near);
  for (let pauseMs = firstLookMs; ; pauseMs = Math.min(longestLookMs, pauseMs * 2)) {
    const seen = await lookFarInGrace();
    if (seen?.pids.length === 0) {
      if (wasEmpty) return found.size;
      wasEmpty = true;
      await sleep(timers, secondLookMs);
      continue;
    }
    wasEmpty = false;
    const maySignal = seen !== null || options.isOurs();
    if (maySignal && isGroupAsked && graceLeftMs() <= 0) kill(seen);
    else if (seen !== null && !isAsked) {
      // Not what the group has started since it was asked: by that it tidies up.
      const asked = isGroupAsked ? await lookNear() : noMembers;
      if (asked !== null)
        ask(
          seen.pids.filter((pid) => !asked.pids.includes(pid)),
          seen,
        );
      isAsked = asked !== null;
    } else if (maySignal && !isGroupAsked) ask([], seen);
    if (!saidStuck && killedAtMs !== null && clock.monotonic() - killedAtMs > stuckAfterMs) {
      saidStuck = true;
      logger.error(
        { pids: seen?.pids.slice(0, 20) ?? [] },
        "processes do not end although they were killed; their room stays taken",
      );
    }
    const nextMs = maySignal && killedAtMs === null ? graceLeftMs() : longestLookMs;
    await sleep(timers, Math.max(1, Math.min(pauseMs, nextMs)));
  }
}

const noMembers: Members = { pids: [], hasGroup: false, unread: [] };

/** undefined: it takes longer. */
async function within<T>(timers: Timers, limitMs: number, answer: Promise<T>): Promise<T | undefined> {
  let timer: Timer | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = timers.after(limitMs, () => resolve(undefined));
  });
  return Promise.race([answer, late]).finally(() => timer?.cancel());
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
