/**
 * The store's time between its answers. Leases and expiries are decided by the store's own clock; this estimate only
 * says how much of a lease is left, and when it is worth asking.
 */
import type { Clock } from "@headroom/runtime";
import type { EpochMs } from "@headroom/scheduling";

export class StoreClock {
  readonly #clock: Clock;
  /** How far it is ahead of the steady clock, at least and at most: the store says its time somewhere between question and answer. */
  #aheadMs: number;
  #aheadAtMostMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#aheadMs = clock.now() - clock.monotonic();
    this.#aheadAtMostMs = this.#aheadMs;
  }

  /** What the store is about to be asked is asked now: goes with its answer to `observe`. */
  asking(): number {
    return this.#clock.monotonic();
  }

  /** The store has just said what time it is. `askedAtMs`: see `asking`; null: nobody knows, so it says only that it is not earlier. */
  observe(nowMs: EpochMs, askedAtMs: number | null = null): void {
    this.#aheadMs = nowMs - this.#clock.monotonic();
    this.#aheadAtMostMs = askedAtMs === null ? Math.max(this.#aheadAtMostMs, this.#aheadMs) : nowMs - askedAtMs;
  }

  /** The store's time, or earlier by no more than its last answer was on its way. */
  now(): EpochMs {
    return Math.round(this.#aheadMs + this.#clock.monotonic());
  }

  /** The store's time, or later by no more than a question took that was timed: for what must not be overstated, as what is left of a lease. */
  latest(): EpochMs {
    return Math.ceil(this.#aheadAtMostMs + this.#clock.monotonic());
  }
}
