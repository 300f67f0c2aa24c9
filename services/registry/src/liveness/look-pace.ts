/**
 * When a process that was told of something looks for it: at once, or by so much later that its looks take a fifth of the time at most; looks that take
 * long (above 250 ms) come no oftener than by themselves. Those count too, and what was told before one began is not looked for again.
 */
import type { Clock, Timer, Timers } from "@headroom/runtime";

/** After a look comes a rest of so many times as long. */
const REST_PER_LOOK = 4;

export interface LookPaceOptions {
  readonly clock: Pick<Clock, "monotonic">;
  readonly timers: Timers;
  /** No rest is longer: looks come by themselves as often. */
  readonly longestRestMs: number;
  readonly look: () => void;
}

export class LookPace {
  readonly #options: LookPaceOptions;
  #isLooking = false;
  #beganAtMs = Number.NEGATIVE_INFINITY;
  #restsUntilMs = Number.NEGATIVE_INFINITY;
  #isToldMeanwhile = false;
  #timer: Timer | undefined;

  constructor(options: LookPaceOptions) {
    this.#options = options;
  }

  /** There is something to look for. */
  told(): void {
    // The look in progress may have read before it was there; how long to rest after it, its end tells.
    if (this.#isLooking) this.#isToldMeanwhile = true;
    else this.#lookWhenRested();
  }

  began(): void {
    this.forget();
    this.#isLooking = true;
    this.#beganAtMs = this.#options.clock.monotonic();
  }

  ended(): void {
    const { clock, longestRestMs } = this.#options;
    const nowMs = clock.monotonic();
    this.#isLooking = false;
    this.#restsUntilMs = nowMs + Math.min(longestRestMs, (nowMs - this.#beganAtMs) * REST_PER_LOOK);
    if (!this.#isToldMeanwhile) return;
    this.#isToldMeanwhile = false;
    this.#lookWhenRested();
  }

  /** What was told is not looked for. */
  forget(): void {
    this.#isToldMeanwhile = false;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #lookWhenRested(): void {
    const { clock, timers, look } = this.#options;
    const inMs = Math.max(0, this.#restsUntilMs - clock.monotonic());
    this.#timer ??= timers.after(inMs, look, { keepAlive: false });
  }
}
