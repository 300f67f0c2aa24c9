/** A pending call. */
export interface Timer {
  /** Idempotent; does nothing once the call was made. */
  cancel(): void;
}

export interface TimerOptions {
  /** false: this timer alone does not keep the process running. Default true. */
  readonly keepAlive?: boolean;
}

/** Timers, as a port. */
export interface Timers {
  /**
   * Calls `fn` once, no earlier than after `delayMs` (0 or more; a negative delay counts as 0, Infinity never fires).
   * An error of `fn` is uncaught: catch inside. Throws RangeError for NaN.
   */
  after(delayMs: number, fn: () => void, options?: TimerOptions): Timer;
}

// setTimeout takes at most 2^31 - 1 ms (24.8 days) and fires at once for more.
const longestLegMs = 2_147_483_647;

/** The process's timers. Delays over 24.8 days run in several legs. */
export const systemTimers: Timers = {
  after(delayMs, fn, options) {
    if (Number.isNaN(delayMs)) throw new RangeError("a timer's delay must be a number of milliseconds, not NaN");
    let remainingMs = Math.max(0, delayMs);
    let handle: NodeJS.Timeout;
    const arm = (): void => {
      const legMs = Math.min(remainingMs, longestLegMs);
      remainingMs -= legMs;
      handle = setTimeout(remainingMs > 0 ? arm : fn, legMs);
      if (options?.keepAlive === false) handle.unref();
    };
    arm();
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Resolves after `delayMs`; rejects with the signal's reason as soon as `signal` aborts. */
export function sleep(timers: Timers, delayMs: number, signal?: AbortSignal, options?: TimerOptions): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const aborted = (): void => {
      timer?.cancel();
      // The reason is whatever the caller aborted with, as in Node's own timers/promises.
      reject(signal?.reason as Error);
    };
    let timer: Timer | undefined;
    if (signal?.aborted === true) return aborted();
    signal?.addEventListener("abort", aborted, { once: true });
    timer = timers.after(
      delayMs,
      () => {
        signal?.removeEventListener("abort", aborted);
        resolve();
      },
      options,
    );
  });
}

/**
 * The promise's own outcome, or a rejection with `makeError()` when it takes longer than `limitMs`.
 * The work behind the promise goes on: give it an AbortSignal of its own if it can be stopped.
 */
export function withTimeout<T>(
  timers: Timers,
  limitMs: number,
  promise: Promise<T>,
  makeError: () => Error,
): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = timers.after(limitMs, () => reject(makeError()));
    promise.then(
      (value) => {
        timer.cancel();
        resolve(value);
      },
      (error: unknown) => {
        timer.cancel();
        reject(error);
      },
    );
  });
}
