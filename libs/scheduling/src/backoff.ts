/** How long to wait before trying again: exponential, with full jitter, so that those who failed together part. */

export interface Backoff {
  readonly baseMs: number;
  readonly maxMs: number;
}

/** The longest wait before the retry that follows the `failures`-th failure in a row (1 is the first). */
export function backoffCeilingMs(failures: number, backoff: Backoff): number {
  // 2^52 milliseconds is past any cap; a larger exponent would only leave the safe integers.
  const exponent = Math.min(52, Math.max(0, failures - 1));
  return Math.min(backoff.maxMs, backoff.baseMs * 2 ** exponent);
}

/** The wait itself. `random` is in [0, 1); the result is a whole number in 0..ceiling. */
export function backoffMs(failures: number, backoff: Backoff, random: number): number {
  return Math.floor(random * (backoffCeilingMs(failures, backoff) + 1));
}
