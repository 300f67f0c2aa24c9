import type { Clock, Ports, Timers } from "./index.ts";

export interface ManualPorts extends Ports {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Lets time pass, running what falls due in order and the promises between. */
  advance(ms: number): Promise<void>;
  /** Delays of the timers that are pending, from now. */
  pending(): number[];
}

/** Lets every promise that can go on go on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
}

/** A tiny virtual time for this package's own tests; everybody else uses @headroom/testing. */
export function manualPorts(randomValue = 0.5): ManualPorts {
  let nowMs = 1_700_000_000_000;
  const timers = new Set<{ dueMs: number; fn: () => void }>();
  return {
    clock: { now: () => nowMs, monotonic: () => nowMs },
    timers: {
      after(delayMs, fn) {
        const timer = { dueMs: nowMs + Math.max(0, delayMs), fn };
        timers.add(timer);
        return { cancel: () => void timers.delete(timer) };
      },
    },
    random: { next: () => randomValue, uuid: () => "00000000-0000-4000-8000-000000000000" },
    pending: () => [...timers].map((timer) => timer.dueMs - nowMs).sort((a, b) => a - b),
    async advance(ms) {
      const endMs = nowMs + ms;
      for (;;) {
        await settle();
        const [next] = [...timers].filter((timer) => timer.dueMs <= endMs).sort((a, b) => a.dueMs - b.dueMs);
        if (next === undefined) break;
        timers.delete(next);
        nowMs = next.dueMs;
        next.fn();
      }
      nowMs = endMs;
    },
  };
}
