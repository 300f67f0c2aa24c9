import type { Clock } from "@headroom/runtime";
import type { QueueSummary } from "../store/model.ts";
import type { OrchestratorStore } from "../store/port.ts";

/** Counting takes at most this share of the time: a count that took 50 ms is good for a second. */
const share = 0.05;
/** A queue that is shorter than this is counted for every question: what takes long then is a busy moment, and an old answer would be wrong. */
const shortQueue = 5_000;
const longestKeptMs = 10_000;

export interface CountedQueue extends QueueSummary {
  /** Epoch ms by this process's clock. */
  readonly countedAtMs: number;
}

/**
 * How much waits, for whoever asks: people, scrapes, lists. Questions at one time share one count, and the count of a long
 * queue is kept for a while, so that asking never costs more than a twentieth of a connection.
 */
export interface QueueCounter {
  summary(): Promise<CountedQueue>;
}

export function createQueueCounter(store: Pick<OrchestratorStore, "queueSummary">, clock: Clock): QueueCounter {
  let kept: { readonly counted: CountedQueue; readonly untilMs: number } | null = null;
  let counting: Promise<CountedQueue> | null = null;

  async function count(): Promise<CountedQueue> {
    const startedMs = clock.monotonic();
    const counted = { ...(await store.queueSummary()), countedAtMs: clock.now() };
    const endedMs = clock.monotonic();
    const isShort = counted.waiting + counted.runningAttempts < shortQueue;
    const keptMs = isShort ? 0 : Math.min(longestKeptMs, (endedMs - startedMs) / share);
    kept = { counted, untilMs: endedMs + keptMs };
    return counted;
  }

  return {
    summary() {
      if (kept !== null && clock.monotonic() < kept.untilMs) return Promise.resolve(kept.counted);
      counting ??= count().finally(() => {
        counting = null;
      });
      return counting;
    },
  };
}
