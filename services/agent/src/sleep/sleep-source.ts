/** What the system says of sleep, as a port. */
export interface SleepSource {
  /** Begins to listen; never rejects. Where the system says nothing, nothing is heard. */
  start(listener: SleepListener): void;
  /** Idempotent. */
  stop(): Promise<void>;
}

export interface SleepListener {
  /** The machine is about to sleep, and waits (a few seconds at most) until this has resolved. */
  announced(): Promise<void>;
  /** It is back, or did not sleep after all. */
  back(): void;
}

/** For systems that announce nothing: only the clocks tell of a sleep, afterwards. */
export const silentSleepSource: SleepSource = {
  start: () => undefined,
  stop: () => Promise.resolve(),
};
