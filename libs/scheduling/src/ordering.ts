/** Which of the waiting work comes first. The orchestrator's store keeps the same rank in an index; its conformance suite compares. */
import type { EpochMs } from "./resources.ts";

export interface WaitingWork {
  readonly id: string;
  /** Higher comes first. */
  readonly priority: number;
  /** Age counts from here, however often it was paused since. */
  readonly acceptedAtMs: EpochMs;
  /** In its plan, from 0. */
  readonly position: number;
}

/**
 * Place in the queue, the lowest first, in seconds: a point of priority is a head start of `pointMs`. It does not depend on the time at
 * which it is asked for, so the order never changes while tasks wait, and yet each of them overtakes in the end whatever comes later.
 */
export function queueRank({ priority, acceptedAtMs, position }: WaitingWork, pointMs: number): number {
  return acceptedAtMs / 1_000 + position * 1e-6 - (priority * pointMs) / 1_000;
}

/** A total order, so that two replicas agree on it. */
export function inQueueOrder<T extends WaitingWork>(waiting: readonly T[], pointMs: number): readonly T[] {
  return [...waiting].sort(
    (a, b) => queueRank(a, pointMs) - queueRank(b, pointMs) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0),
  );
}
