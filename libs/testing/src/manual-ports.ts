import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock, Ports, Timer, Timers } from "@headroom/runtime";
import { SeededRandom } from "./seeded-random.ts";

/** 2024-01-01T00:00:00Z: any fixed moment would do. */
const defaultStartMs = 1_704_067_200_000;

/** A clock that stands still until it is told to move. */
export class ManualClock implements Clock {
  #wallMs: number;
  #monotonicMs = 0;

  constructor(startMs: number = defaultStartMs) {
    this.#wallMs = startMs;
  }

  now(): number {
    return this.#wallMs;
  }

  monotonic(): number {
    return this.#monotonicMs;
  }

  /** Lets time pass without running timers; tests call `advance` of the ports. Throws RangeError below 0. */
  pass(ms: number): void {
    if (!(ms >= 0)) throw new RangeError(`time cannot pass by ${ms} ms`);
    this.#wallMs += ms;
    this.#monotonicMs += ms;
  }

  /** Somebody sets the wall clock, forward or back; monotonic time goes on as if nothing had been. */
  setWall(ms: number): void {
    this.#wallMs = ms;
  }
}

interface PendingTimer {
  readonly dueMs: number;
  readonly order: number;
  readonly fn: () => void;
}

/** Timers on a manual clock's monotonic time. */
export class ManualTimers implements Timers {
  readonly #clock: ManualClock;
  readonly #pending = new Set<PendingTimer>();
  #made = 0;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  after(delayMs: number, fn: () => void): Timer {
    if (Number.isNaN(delayMs)) throw new RangeError("a timer's delay must be a number of milliseconds, not NaN");
    this.#made += 1;
    const timer = { dueMs: this.#clock.monotonic() + Math.max(0, delayMs), order: this.#made, fn };
    this.#pending.add(timer);
    return { cancel: () => void this.#pending.delete(timer) };
  }

  /** How long until each pending timer, the next one first. */
  pendingDelays(): number[] {
    const nowMs = this.#clock.monotonic();
    return [...this.#pending].map((timer) => timer.dueMs - nowMs).toSorted((one, other) => one - other);
  }

  /** Takes out the earliest timer due by `limitMs`; of equally early ones the first made. */
  takeDue(limitMs: number): PendingTimer | undefined {
    let next: PendingTimer | undefined;
    for (const timer of this.#pending) {
      if (timer.dueMs > limitMs) continue;
      const earlier = next === undefined || timer.dueMs < next.dueMs;
      if (earlier || (timer.dueMs === next?.dueMs && timer.order < next.order)) next = timer;
    }
    if (next !== undefined) this.#pending.delete(next);
    return next;
  }
}

export interface ManualPorts extends Ports {
  readonly clock: ManualClock;
  readonly timers: ManualTimers;
  readonly random: SeededRandom;
  /**
   * Lets `ms` of virtual time pass: runs each timer at its time and in order, also those that earlier ones set, and after each
   * lets all promises go on that wait for nothing real (a socket, a database).
   */
  advance(ms: number): Promise<void>;
  /** Lets all promises go on, without time passing. */
  settle(): Promise<void>;
}

/** More timers than this in one `advance` is a loop that sets itself anew without delay. */
const maxTimersPerAdvance = 1_000_000;

/** Clock, timers and randomness under the test's control. */
export function manualPorts(options: { readonly seed?: number; readonly startMs?: number } = {}): ManualPorts {
  const clock = new ManualClock(options.startMs);
  const timers = new ManualTimers(clock);
  // Node empties the queue of promises before the next turn, however long their chains are.
  const settle = (): Promise<void> => nextTurn();
  return {
    clock,
    timers,
    random: new SeededRandom(options.seed ?? 1),
    settle,
    async advance(ms) {
      const endMs = clock.monotonic() + ms;
      await settle();
      for (let run = 0; ; run += 1) {
        if (run > maxTimersPerAdvance) throw new Error("timers without end: one sets itself anew without delay");
        const timer = timers.takeDue(endMs);
        if (timer === undefined) break;
        clock.pass(Math.max(0, timer.dueMs - clock.monotonic()));
        timer.fn();
        await settle();
      }
      clock.pass(Math.max(0, endMs - clock.monotonic()));
    },
  };
}
