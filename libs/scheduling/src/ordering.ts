/** Which of the waiting work comes first. */
import type { EpochMs } from "./resources.ts";

export interface WaitingWork {
  readonly id: string;
  /** Higher comes first. */
  readonly priority: number;
  readonly pausedAtMs: EpochMs;
}

/** Priority, then age, then id: a total order, so that two replicas agree on it. */
export function compareWaiting(a: WaitingWork, b: WaitingWork): number {
  return b.priority - a.priority || a.pausedAtMs - b.pausedAtMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

export function inOrder<T extends WaitingWork>(waiting: readonly T[]): readonly T[] {
  return [...waiting].sort(compareWaiting);
}

export interface Ageing {
  /** One point of priority for each such time of waiting. */
  readonly msPerPoint: number;
  /** No task gains more than this. */
  readonly maxPoints: number;
}

export const NO_AGEING: Ageing = { msPerPoint: 1, maxPoints: 0 };

/** Priority with what waiting has added to it, never more than `maxPoints`. */
export function agedPriority(work: WaitingWork, nowMs: EpochMs, ageing: Ageing): number {
  const waitedMs = Math.max(0, nowMs - work.pausedAtMs);
  return work.priority + Math.min(ageing.maxPoints, Math.floor(waitedMs / ageing.msPerPoint));
}

/** The same order, by aged priority. */
export function inAgedOrder<T extends WaitingWork>(
  waiting: readonly T[],
  nowMs: EpochMs,
  ageing: Ageing,
): readonly T[] {
  return waiting
    .map((work) => ({ work, aged: { ...work, priority: agedPriority(work, nowMs, ageing) } }))
    .sort((a, b) => compareWaiting(a.aged, b.aged))
    .map(({ work }) => work);
}
