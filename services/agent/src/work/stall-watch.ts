import type { Clock } from "@headroom/runtime";

/** How often `tick` is called. */
export const tickEveryMs = 1_000;
/** A tick that comes later than this after the one before says that the process stood still: suspend, SIGSTOP, a swamped machine. */
const stallMs = 5_000;

/** Notices that this process stood still. What is read from a socket just afterwards may have waited there all that time. */
export class StallWatch {
  readonly #clock: Clock;
  #lastTickMs: number;
  /** Beginning of the last stall; counts until the next tick in time, when everything that had waited was read. */
  #stalledSinceMs: number | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastTickMs = clock.monotonic();
  }

  /** Call every `tickEveryMs`. Answers whether the process stood still since the last call. */
  tick(): boolean {
    const nowMs = this.#clock.monotonic();
    const stalled = nowMs - this.#lastTickMs > stallMs;
    this.#stalledSinceMs = stalled ? this.#lastTickMs : null;
    this.#lastTickMs = nowMs;
    return stalled;
  }

  /** The earliest moment at which a message that is read now can have come, on the monotonic clock. */
  receivedAtMs(): number {
    const nowMs = this.#clock.monotonic();
    if (this.#stalledSinceMs !== null) return this.#stalledSinceMs;
    return nowMs - this.#lastTickMs > stallMs ? this.#lastTickMs : nowMs;
  }
}
