import { setTimeout as pause } from "node:timers/promises";

export interface WaitForOptions {
  /** Default 25,000: below the 30 s of a test, so that this error is the one shown. */
  readonly timeoutMs?: number;
  /** What is waited for, and what was seen last: for the error. */
  readonly describe?: string | (() => string);
}

const firstPauseMs = 2;
const longestPauseMs = 50;

/**
 * Resolves with the condition's first value that is neither false, null nor undefined. What it throws counts as "not yet".
 * Rejects after `timeoutMs` with the description and the last error.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitForOptions = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const limitMs = options.timeoutMs ?? 25_000;
  const startedMs = performance.now();
  let lastError: unknown;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(longestPauseMs, pauseMs * 2)) {
    try {
      const value = await condition();
      lastError = undefined;
      // The two tests leave exactly the return type, which TypeScript cannot tell of a generic.
      if (value !== false && value !== null && value !== undefined) return value as NonNullable<Exclude<T, false>>;
    } catch (error) {
      lastError = error;
    }
    if (performance.now() - startedMs > limitMs) {
      const what = typeof options.describe === "function" ? options.describe() : (options.describe ?? "the condition");
      throw new Error(`waited ${limitMs} ms in vain for: ${what}`, { cause: lastError });
    }
    await pause(pauseMs);
  }
}
