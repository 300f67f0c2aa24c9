/**
 * The store's time between its answers. Leases and expiries are decided by the store's own clock; this estimate only
 * says how much of a lease is left, and when it is worth asking.
 */
import type { Clock } from "@headroom/runtime";
import type { EpochMs } from "@headroom/scheduling";

export class StoreClock {
  readonly #clock: Clock;
  #aheadMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#aheadMs = clock.now() - clock.monotonic();
  }

  /** The store has just said what time it is. */
  observe(nowMs: EpochMs): void {
    this.#aheadMs = nowMs - this.#clock.monotonic();
  }

  now(): EpochMs {
    return Math.round(this.#aheadMs + this.#clock.monotonic());
  }
}
