import { createDeferred, nextTurn, sleep, withTimeout, type Clock, type Timers } from "@headroom/runtime";

export interface SharedLookOptions<Seen> {
  readonly clock: Clock;
  readonly timers: Timers;
  /** It takes this program's own time all along. Such looks are made half of the time at most. Default false. */
  readonly isBusy?: boolean;
  look(): Seen | Promise<Seen>;
}

/** A program that stood still in the middle of a look has looked for hours. */
const longestRestMs = 500;
/** All looks have bounds of their own, which are shorter. One that hangs for good must not keep every attempt from ending. */
const lookLimitMs = 30_000;

/**
 * One look for all who ask at about the same time, and never two at once: a look costs as much as the machine has processes, and each attempt that
 * ends asks again and again. Nobody is answered by a look that had begun before he asked: it may have missed what he asks about, and of who
 * looks twice to be sure both looks could be the same one. A look that fails fails for all who share it.
 */
export class SharedLook<Seen> {
  readonly #options: SharedLookOptions<Seen>;
  /** Has not begun. */
  #next: Promise<Seen> | null = null;
  /** The one before is over, and so is the rest after it. Never rejects. */
  #free: Promise<void> = Promise.resolve();

  constructor(options: SharedLookOptions<Seen>) {
    this.#options = options;
  }

  ask(): Promise<Seen> {
    this.#next ??= this.#begin();
    return this.#next;
  }

  async #begin(): Promise<Seen> {
    await this.#free;
    // With those whose pause is over in the same moment.
    await nextTurn();
    this.#next = null;
    const { clock } = this.#options;
    const free = createDeferred();
    this.#free = free.promise;
    const fromMs = clock.monotonic();
    try {
      const look = Promise.resolve(this.#options.look());
      return await withTimeout(this.#options.timers, lookLimitMs, look, lookHangs);
    } finally {
      void this.#rest(clock.monotonic() - fromMs).then(() => free.resolve());
    }
  }

  async #rest(tookMs: number): Promise<void> {
    if (this.#options.isBusy === true && tookMs >= 1)
      await sleep(this.#options.timers, Math.min(tookMs, longestRestMs));
  }
}

function lookHangs(): Error {
  return new Error(`a look at the machine's processes was not over after ${lookLimitMs / 1_000} s`);
}
