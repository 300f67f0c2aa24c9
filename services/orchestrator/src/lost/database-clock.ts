import type { Clock, Logger } from "@headroom/runtime";

/** Below it a jump costs nobody a lease: an attempt is lost no earlier than 30 s after its own has ended. */
const noticedFromMs = 10_000;

/**
 * Notices that the database's clock was set, or that another server with another clock has taken its place. Leases of work end by that clock, and their agents count
 * by clocks of their own: a clock that is set ahead would end leases that no agent knows to have ended, and what runs would be started once more beside itself.
 */
export class DatabaseClock {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #last: { readonly saidMs: number; readonly askedAtMs: number; readonly heardAtMs: number } | null = null;
  #setAtMs: number | null = null;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** How long ago it was last found to have been set ahead; null: never. */
  setAgoMs(): number | null {
    return this.#setAtMs === null ? null : this.#clock.monotonic() - this.#setAtMs;
  }

  /** `saidMs`: the database's time in an answer to what was asked at `askedAtMs` of the steady clock. Answers whether it has been set ahead since the last one. */
  heard(saidMs: number, askedAtMs: number): boolean {
    const heardAtMs = this.#clock.monotonic();
    const last = this.#last;
    this.#last = { saidMs, askedAtMs, heardAtMs };
    if (last === null) return false;
    const passedMs = saidMs - last.saidMs;
    // It said each time somewhere between question and answer: what is certain of it counts.
    const mostMs = heardAtMs - last.askedAtMs;
    const leastMs = askedAtMs - last.heardAtMs;
    if (leastMs - passedMs >= noticedFromMs)
      this.#logger.warn(
        { set_back_by_ms: Math.round(leastMs - passedMs) },
        "the database's clock was set back: what waits for a time, and what is lost, waits for so much longer",
      );
    if (passedMs - mostMs < noticedFromMs) return false;
    this.#setAtMs = heardAtMs;
    this.#logger.warn(
      { set_ahead_by_ms: Math.round(passedMs - mostMs) },
      "the database's clock was set ahead, or this machine slept: leases of work count from now anew, for their agents may know nothing of it",
    );
    return true;
  }
}
