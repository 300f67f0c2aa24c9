import type { Clock, Logger } from "@headroom/runtime";

export interface UnreadWaitOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly attemptId: string;
  /** Aborts when the program is to stop. */
  readonly stopping: AbortSignal;
}

/**
 * A process that writes a large core dump lets itself be read after a minute or two; one that does not after three is stuck for good, and is most
 * likely somebody else's: the task's own are in its group, or were read before. To wait for ever would keep the result of a command that
 * has ended, and its room, until the agent's end, and have it run again.
 */
export const unreadLimitMs = 180_000;
/** Enough for a busy machine to be read, and less than a stop takes at most: a result that is not written by then is lost. */
export const unreadLimitAtStopMs = 5_000;

/** Nobody is found, and that some processes cannot be read leaves open whether nobody is left. */
export class UnreadProcessesError extends Error {
  constructor(pids: readonly number[]) {
    super(
      `what they carry in their environment could not be read of the processes ${pids.slice(0, 20).join(", ")}, and they may be the task's: it counts as running until they can be read, or end, for ${unreadLimitMs / 60_000} minutes at most`,
    );
    this.name = "UnreadProcessesError";
  }
}

/** How long one attempt is waited for because processes cannot be read that may be its own. */
export class UnreadWait {
  readonly #options: UnreadWaitOptions;
  #fromMs: number | null = null;
  #saidOver = false;

  constructor(options: UnreadWaitOptions) {
    this.#options = options;
  }

  /** Nobody but these may be left of the attempt. Throws as long as they are waited for; after that they count as somebody else's. */
  check(pids: readonly number[]): void {
    if (pids.length === 0) return;
    const { clock, logger, attemptId, stopping } = this.#options;
    const nowMs = clock.monotonic();
    this.#fromMs ??= nowMs;
    if (nowMs - this.#fromMs < (stopping.aborted ? unreadLimitAtStopMs : unreadLimitMs))
      throw new UnreadProcessesError(pids);
    if (this.#saidOver) return;
    this.#saidOver = true;
    logger.error(
      { attempt_id: attemptId, pids: pids.slice(0, 20) },
      "processes could not be read for too long: they are taken for somebody else's, and the task for ended; if they are the task's, end them by hand",
    );
  }
}
