import type { Clock, Timers } from "@headroom/runtime";

export interface ClaimEndsOptions {
  readonly clock: Pick<Clock, "monotonic">;
  readonly timers: Timers;
  /** Of a claim. */
  readonly leaseMs: number;
  /** Looks at what may be claimed now. */
  readonly look: () => void;
}

/** The clocks of this machine and of the database drift apart by less in the lease of a claim. */
const doubtMs = 50;

/** What could not be placed is claimed still, and no event tells of the end of a claim: then somebody has to look. */
export class ClaimEnds {
  readonly #options: ClaimEndsOptions;
  /** When the newest of them end; null: none is known. */
  #lastEndAtMs: number | null = null;
  #isWaitedFor = false;

  constructor(options: ClaimEndsOptions) {
    this.#options = options;
  }

  /** Some of what was claimed by now could not be placed. */
  note(): void {
    this.#lastEndAtMs = this.#options.clock.monotonic() + this.#options.leaseMs + doubtMs;
    if (!this.#isWaitedFor) this.#waitFor(this.#lastEndAtMs);
  }

  /** One timer, however many there are: those that came meanwhile have the next one. */
  #waitFor(endAtMs: number): void {
    const { clock, timers, look } = this.#options;
    this.#isWaitedFor = true;
    const end = (): void => {
      this.#isWaitedFor = false;
      look();
      if (this.#lastEndAtMs !== null && this.#lastEndAtMs > endAtMs) this.#waitFor(this.#lastEndAtMs);
      else this.#lastEndAtMs = null;
    };
    timers.after(Math.max(0, endAtMs - clock.monotonic()), end, { keepAlive: false });
  }
}
