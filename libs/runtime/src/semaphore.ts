/** More waits already than are allowed. */
export class OverloadedError extends Error {
  override readonly name = "OverloadedError";
}

/** At most `max` at a time, first come first served, and at most `maxWaiting` in the queue. */
export class Semaphore {
  readonly #maxWaiting: number;
  readonly #waiting = new Set<() => void>();
  #free: number;

  /** Both are whole numbers; `max` 1 or more. */
  constructor(max: number, maxWaiting = 10_000) {
    if (!(max >= 1)) throw new RangeError("a semaphore needs room for at least one");
    this.#free = max;
    this.#maxWaiting = maxWaiting;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Resolves with the function that gives the place back (idempotent). Rejects with OverloadedError when the queue is full,
   * and with the signal's reason when that aborts before the turn came.
   */
  async acquire(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#takeTurn(signal);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#release();
    };
  }

  /** Runs `work` in one of the places. */
  async run<T>(work: () => Promise<T> | T, signal?: AbortSignal): Promise<T> {
    const release = await this.acquire(signal);
    try {
      return await work();
    } finally {
      release();
    }
  }

  #release(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#free += 1;
    // The place is handed on, never freed in between, so that nobody overtakes the queue.
    else next();
  }

  #takeTurn(signal: AbortSignal | undefined): Promise<void> {
    if (this.#waiting.size >= this.#maxWaiting) {
      return Promise.reject(new OverloadedError(`${this.#waiting.size} wait already`));
    }
    return new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#waiting.delete(turn);
        signal?.removeEventListener("abort", aborted);
      };
      const turn = (): void => {
        leave();
        resolve();
      };
      const aborted = (): void => {
        leave();
        reject(signal?.reason as Error);
      };
      this.#waiting.add(turn);
      signal?.addEventListener("abort", aborted, { once: true });
    });
  }
}
