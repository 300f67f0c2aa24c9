/** When room for a task is expected, and when its turn comes, from the expected ends of what runs. */
import type { AgentView } from "./agent-view.ts";
import { EndingRoom } from "./ending-room.ts";
import { fit, type FitOptions } from "./fit.ts";
import { MinHeap } from "./min-heap.ts";
import { type Needs, needsGpu } from "./needs.ts";
import type { EpochMs } from "./resources.ts";

/** The later end of a range allows for this much longer than expected. */
export const OVERRUN_FACTOR = 1.5;

export interface RoomEstimate {
  readonly agentId: string;
  readonly earliestMs: EpochMs;
  readonly latestMs: EpochMs;
}

/**
 * The earliest moment at which enough reservations with a known end have ended on some usable agent; null when no known
 * end makes room. An end that has passed already is expected any moment. Nobody else's wish for that room is counted:
 * add the queue.
 */
export function estimateRoom(
  views: readonly AgentView[],
  needs: Needs,
  nowMs: EpochMs,
  options: FitOptions = {},
): RoomEstimate | null {
  let best: RoomEstimate | null = null;
  for (const view of views) {
    const atMs = roomExpectedAtMs(view, needs, nowMs, options);
    if (atMs === null || (best !== null && atMs >= best.earliestMs)) continue;
    best = { agentId: view.agentId, earliestMs: atMs, latestMs: nowMs + Math.ceil((atMs - nowMs) * OVERRUN_FACTOR) };
  }
  return best;
}

function roomExpectedAtMs(view: AgentView, needs: Needs, nowMs: EpochMs, options: FitOptions): EpochMs | null {
  const found = fit(view, needs, options);
  if (found.kind === "fits") return nowMs;
  if (found.never || found.misses.some(({ dimension }) => dimension === "state")) return null;
  const room = new EndingRoom(view);
  const ends = room.inOrder.flatMap(({ expectedEndAtMs }) => expectedEndAtMs ?? []);
  const enough = room.endFewest(ends.length, (then) => fit(then, needs, options).kind === "fits");
  const endsAtMs = enough === null ? undefined : ends[enough - 1];
  return endsAtMs === undefined ? null : Math.max(nowMs, endsAtMs);
}

/** The earlier end of a range allows for this much less than expected. */
export const UNDERRUN_FACTOR = 0.75;

export interface DurationRange {
  readonly lowMs: number;
  /** Null: nobody knows. */
  readonly highMs: number | null;
}

/** What is known of a duration that was declared, or learned; null: nothing. */
export function durationRange(expectedMs: number | null): DurationRange {
  if (expectedMs === null) return { lowMs: 0, highMs: null };
  return { lowMs: expectedMs * UNDERRUN_FACTOR, highMs: expectedMs * OVERRUN_FACTOR };
}

/** What is left of a run that has gone on for `elapsedMs`. One that is late already is allowed to be late by half of that again. */
export function remainingRange(expectedMs: number | null, elapsedMs: number): DurationRange {
  const gone = Math.max(0, elapsedMs);
  const { lowMs, highMs } = durationRange(expectedMs);
  const low = Math.max(0, lowMs - gone);
  if (highMs === null) return { lowMs: low, highMs };
  return { lowMs: low, highMs: highMs > gone ? Math.max(low, highMs - gone) : gone * (OVERRUN_FACTOR - 1) };
}

/** Each older run counts this much less than the one after it. */
const DECAY = 0.85;

/** The middle of earlier durations, the newest first; newer ones weigh more. Null without any. */
export function typicalDurationMs(recentMs: readonly number[]): number | null {
  const weighed = recentMs.map((ms, age) => ({ ms, weight: DECAY ** age })).sort((a, b) => a.ms - b.ms);
  const half = weighed.reduce((sum, { weight }) => sum + weight, 0) / 2;
  let sum = 0;
  for (const { ms, weight } of weighed) {
    sum += weight;
    if (sum >= half) return ms;
  }
  return null;
}

export interface StartQuestion {
  readonly nowMs: EpochMs;
  /** Tasks that stand before it, at least 0. */
  readonly ahead: number;
  /** Of them those that start before it for certain: no more than `ahead`. Others may wait for room that it does not want. */
  readonly surelyAhead: number;
  /** What is left of everything that runs; each end lets one task start. */
  readonly running: readonly DurationRange[];
  /** How long those before it run; null: nobody knows. */
  readonly typicalMs: number | null;
  /** How long the shortest of those does that start before it for certain; null: of one of them at least nobody knows. */
  readonly shortestMs: number | null;
  /** When there is room for its needs, the queue not counted; null: unknown. Now or earlier: there is room now. */
  readonly roomAtMs: EpochMs | null;
}

export interface StartRange {
  readonly earliestMs: EpochMs;
  /** Null: nobody knows. */
  readonly latestMs: EpochMs | null;
}

/**
 * When a waiting task is expected to start: tasks before it take the places that fall free, and free them again after their
 * own time. Computed once with as little before it and as short as it may be, and once with all of it and as long as it may be, so that the range never is
 * negative, grows with what is not known, and never moves forward for a place further back. Null: nothing is known.
 */
export function expectedStart(question: StartQuestion): StartRange | null {
  const { nowMs, running, roomAtMs } = question;
  const hasRoom = roomAtMs !== null && roomAtMs <= nowMs;
  if (running.length === 0 && !hasRoom) {
    if (roomAtMs === null || question.ahead > 0) return null;
    return { earliestMs: roomAtMs, latestMs: nowMs + Math.ceil((roomAtMs - nowMs) * OVERRUN_FACTOR) };
  }
  const typical = durationRange(question.typicalMs);
  const free = hasRoom ? [0] : [];
  const roomInMs = roomAtMs === null ? 0 : Math.max(0, roomAtMs - nowMs);
  const shortest = durationRange(question.shortestMs);
  const lowMs = Math.min(typical.lowMs, shortest.lowMs);
  const low = turnAfterMs([...free, ...running.map((run) => run.lowMs)], lowMs, question.surelyAhead);
  const high = turnAfterMs(
    [...free, ...running.map(({ highMs }) => highMs ?? Number.POSITIVE_INFINITY)],
    typical.highMs ?? Number.POSITIVE_INFINITY,
    question.ahead,
  );
  const latestInMs = Math.max(high, roomInMs * OVERRUN_FACTOR);
  return {
    earliestMs: nowMs + Math.floor(Math.max(low, roomInMs)),
    latestMs: Number.isFinite(latestInMs) ? nowMs + Math.ceil(latestInMs) : null,
  };
}

/** When the place after `ahead` others falls free: each of them takes the one that is free first, and gives it back after `eachMs`. */
function turnAfterMs(endsMs: readonly number[], eachMs: number, ahead: number): number {
  const places = new MinHeap(endsMs);
  for (let before = 0; before < ahead; before += 1) places.replaceSmallest(places.smallest() + eachMs);
  return places.smallest();
}

/** Whether a task with these needs has room wherever one with the others has: before that one in the queue, it starts before it. */
export function fitsWherever(needs: Needs, other: Needs): boolean {
  const isMeantForAll =
    (needs.pool === null || needs.pool === other.pool) &&
    (needs.agentId === null || needs.agentId === other.agentId) &&
    Object.entries(needs.labels).every(([key, value]) => other.labels[key] === value);
  const needsNoMore = needs.cpuMillicores <= other.cpuMillicores && needs.memoryMib <= other.memoryMib;
  return isMeantForAll && needsNoMore && cardsFitWherever(needs, other);
}

function cardsFitWherever(needs: Needs, other: Needs): boolean {
  if (!needsGpu(needs)) return true;
  const models = new Set(needs.gpuModels.map((model) => model.toLowerCase()));
  const isAnyModel = models.size === 0;
  const takesTheirs = other.gpuModels.length > 0 && other.gpuModels.every((model) => models.has(model.toLowerCase()));
  return (
    needs.gpuCount <= other.gpuCount &&
    needs.gpuVramMib <= other.gpuVramMib &&
    (!needs.gpuExclusive || other.gpuExclusive) &&
    (isAnyModel || takesTheirs)
  );
}
