import { jitter, type Ports, sleep } from "@headroom/runtime";
import { classifyError } from "./classify-error.ts";

export interface TransactionRetryOptions {
  readonly ports: Pick<Ports, "timers" | "random">;
  /** 1 or more. */
  readonly maxAttempts: number;
  onRetry(error: unknown, attemptsMade: number): void;
}

// A deadlock was found after 1 s of waiting, so the first pause only has to break the symmetry of the two.
const firstPauseMs = 10;
const longestPauseMs = 500;

/** Runs `attempt` again after serialization failures and deadlocks, with growing, jittered pauses; then throws the last error. */
export async function retryTransaction<T>(attempt: () => Promise<T>, options: TransactionRetryOptions): Promise<T> {
  for (let made = 1; ; made += 1) {
    try {
      return await attempt();
    } catch (error) {
      if (made >= options.maxAttempts || classifyError(error).kind !== "serialization") throw error;
      options.onRetry(error, made);
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (made - 1));
      await sleep(options.ports.timers, jitter(options.ports.random, pauseMs, 0.5));
    }
  }
}
