/** A promise that is settled from outside. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export function createDeferred<T = void>(): Deferred<T> {
  // Both are set by the promise's executor, which runs before its constructor returns.
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

/** A bell for one waiter: rings are never lost, and any number of them before a wait are one. */
export interface WakeSignal {
  notify(): void;
  /** Resolves at the next ring, or at once if one came since the last wait; rejects with the signal's reason when it aborts. */
  wait(signal?: AbortSignal): Promise<void>;
}

export function createSignal(): WakeSignal {
  let rung = false;
  const waiters = new Set<() => void>();
  return {
    notify() {
      if (waiters.size === 0) rung = true;
      for (const wake of waiters) wake();
    },
    wait(signal) {
      // An abort wins, so that a ring is kept for the next wait.
      if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
      if (rung) {
        rung = false;
        return Promise.resolve();
      }
      return new Promise<void>((resolve, reject) => {
        const leave = (): void => {
          waiters.delete(wake);
          signal?.removeEventListener("abort", aborted);
        };
        const wake = (): void => {
          leave();
          resolve();
        };
        const aborted = (): void => {
          leave();
          reject(signal?.reason as Error);
        };
        waiters.add(wake);
        signal?.addEventListener("abort", aborted, { once: true });
      });
    },
  };
}
