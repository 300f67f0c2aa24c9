/**
 * Room kept for a waiting task that is too large for what is free, so that small tasks, which find room again and again, do not
 * starve it. One agent is kept for it: what becomes free there is given to nobody else, except to work that is expected to be over
 * before the room is gathered. A hold ends by itself, and rests before it is given again, so that it never idles an agent for long. The most promising
 * agent is kept every other time, for twice as long each time: it may only have needed longer. In between each other one has its turn: that the first
 * is soonest by what is known, or lacks least, may be so for ever (a task hangs, its owner's programs run all day).
 */

export interface HoldRules {
  /** A task waits at least so long before room is kept for it. */
  readonly afterMs: number;
  /** How long a first hold lasts; each further one of the same task lasts twice as long as the one before. */
  readonly firstMs: number;
  /** No hold lasts longer. */
  readonly longestMs: number;
  /** Of all online agents at most this share is kept at once, and at least one. */
  readonly maxShare: number;
  /** No more at once, however many agents there are: a request for room names those that it leaves out. */
  readonly most: number;
}

export const DEFAULT_HOLD_RULES: HoldRules = {
  afterMs: 30_000,
  firstMs: 300_000,
  longestMs: 3_600_000,
  maxShare: 0.1,
  most: 128,
};

/** Room that is being kept, or was. */
export interface RoomHold {
  readonly taskId: string;
  readonly agentId: string;
  /** From now until the room is expected to be gathered; null: unknown. Negative: it was expected before. */
  readonly readyInMs: number | null;
  /** From now until it ends; 0 or less: it has ended, and the task rests as long as it lasted. */
  readonly leftMs: number;
  readonly lastsMs: number;
  /** How often room was kept for the task, this time included. */
  readonly times: number;
}

/** A task that waits at the head of its shape and was refused for want of room. */
export interface HoldCandidate {
  readonly taskId: string;
  /** Place in the queue, the lowest first. */
  readonly rank: number;
  readonly waitedMs: number;
  /** Work of another kind has been given room while it waited: without that nobody takes its room away. */
  readonly overtaken: boolean;
}

/** An agent that may be kept, the most promising first. */
export interface HoldPlace {
  readonly agentId: string;
  /** Until the room is gathered there; null: unknown. */
  readonly roomInMs: number | null;
}

export function isInForce(hold: RoomHold): boolean {
  return hold.leftMs > 0;
}

/** How many agents are kept at once at most. */
export function mostHolds(agentsOnline: number, { most, maxShare }: HoldRules): number {
  return Math.min(most, Math.max(1, Math.floor(agentsOnline * maxShare)));
}

/** The tasks that room may be kept for next, in the order of the queue; none when enough is kept already. */
export function dueForHold<Candidate extends HoldCandidate>(
  candidates: readonly Candidate[],
  holds: readonly RoomHold[],
  agentsOnline: number,
  rules: HoldRules,
): readonly Candidate[] {
  const inForce = holds.filter(isInForce);
  if (inForce.length >= mostHolds(agentsOnline, rules)) return [];
  const known = new Map(holds.map((hold) => [hold.taskId, hold]));
  return candidates
    .filter(({ taskId, waitedMs, overtaken }) => {
      const hold = known.get(taskId);
      const rests = hold !== undefined && hold.leftMs > -hold.lastsMs;
      return overtaken && waitedMs >= rules.afterMs && !rests;
    })
    .toSorted((a, b) => a.rank - b.rank || (a.taskId < b.taskId ? -1 : 1));
}

/** What a known end may be late by: the hold still stands then. */
const OVERRUN = 1.5;

/**
 * The most promising first: where the room is expected soonest, then the nearest misses, of which the ends are unknown. What was expected before now has
 * outrun its time, and when it ends is unknown as well.
 */
export function mostPromising(expected: HoldPlace | null, nearest: readonly string[]): readonly HoldPlace[] {
  const isDue = expected !== null && expected.roomInMs !== null && expected.roomInMs > 0;
  const others = nearest
    .filter((agentId) => agentId !== expected?.agentId || !isDue)
    .map((agentId): HoldPlace => ({ agentId, roomInMs: null }));
  if (isDue) return [expected, ...others];
  const isListed = expected === null || nearest.includes(expected.agentId);
  return isListed ? others : [...others, { agentId: expected.agentId, roomInMs: null }];
}

/** The hold to be given, on a place that is not kept already; null: there is none. */
export function makeHold(
  { taskId }: Pick<HoldCandidate, "taskId">,
  places: readonly HoldPlace[],
  holds: readonly RoomHold[],
  rules: HoldRules,
): RoomHold | null {
  const kept = new Set(holds.filter(isInForce).map(({ agentId }) => agentId));
  const inVain = holds.find((hold) => hold.taskId === taskId);
  const times = 1 + (inVain?.times ?? 0);
  const place = nextPlace(
    places.filter(({ agentId }) => !kept.has(agentId)),
    times,
    inVain,
    rules,
  );
  if (place === undefined) return null;
  const wantedMs = Math.max(rules.firstMs * 2 ** (times - 1), (place.roomInMs ?? 0) * OVERRUN);
  const lastsMs = Math.min(rules.longestMs, wantedMs);
  return { taskId, agentId: place.agentId, readyInMs: place.roomInMs, leftMs: lastsMs, lastsMs, times };
}

/**
 * Every other time the most promising one, and in between one after the other by the agents' ids, but for the one that has just been tried: each place that stays one has its turn within twice as many
 * holds as there are places, however often the order of their promise changes, and with nothing to remember but their number.
 */
function nextPlace(
  places: readonly HoldPlace[],
  times: number,
  last: RoomHold | undefined,
  rules: HoldRules,
): HoldPlace | undefined {
  const [first] = places;
  if (first === undefined || times % 2 === 1 || wasTooShort(first, last, rules)) return first;
  const byId = places.toSorted((a, b) => (a.agentId < b.agentId ? -1 : 1));
  const turn = times / 2 - 1;
  const next = byId[turn % byId.length];
  return next?.agentId === last?.agentId ? byId[(turn + 1) % byId.length] : next;
}

/** The last hold was there, and ended before the moment that was known of it; the next one reaches that. */
function wasTooShort({ agentId, roomInMs }: HoldPlace, last: RoomHold | undefined, { longestMs }: HoldRules): boolean {
  if (last?.agentId !== agentId || last.readyInMs === null || last.readyInMs <= 0) return false;
  return roomInMs !== null && roomInMs <= longestMs;
}

/** Whether a task may be given room on the agent that is kept: its own, or it is over before the room is gathered. */
export function mayUseKept(
  hold: RoomHold,
  task: { readonly taskId: string; readonly expectedDurationMs: number | null },
): boolean {
  if (!isInForce(hold) || hold.taskId === task.taskId) return true;
  const { readyInMs } = hold;
  return readyInMs !== null && task.expectedDurationMs !== null && task.expectedDurationMs <= readyInMs;
}
