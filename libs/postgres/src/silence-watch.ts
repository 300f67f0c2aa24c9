/**
 * Tells a server that answers nothing at all (stopped, hung, cut off) from one that takes its time with a statement. Statements may take long, so
 * none of them says which it is: when somebody has waited for a while, a small question is put on a way of its own. Only when that goes unanswered
 * too, and no connection of the pool has said a word meanwhile, is the server taken for silent, and all who wait are told at once.
 */
import type { Clock, Logger, Timer, Timers } from "@headroom/runtime";

/** Somebody has waited for so long: the server is asked. */
const askAfterMs = 1_000;
/** With the above within the 5 s that a new connection is waited for, which are half of what most callers wait. */
export const answerWithinMs = 3_500;
/** While somebody waits on, it is asked again so long after it has answered: it may fall silent later. */
const askAgainMs = 5_000;

export class ServerSilentError extends Error {
  override readonly name = "ServerSilentError";
  constructor() {
    super(`the database has not answered for ${(askAfterMs + answerWithinMs) / 1_000} s or more`);
  }
}

export interface SilenceWatchOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Whether the server says nothing within `answerWithinMs`, neither to a small question nor to anybody else. Never rejects. */
  readonly isSilent: () => Promise<boolean>;
  /** Ends the connections that nobody answers on. */
  readonly cut: (error: Error) => void;
}

interface Waiting {
  readonly giveUp: (error: Error) => void;
  isGivenUp: boolean;
  /** When the server is to be asked for its sake, by the monotonic clock. */
  askAtMs: number;
}

export class SilenceWatch {
  readonly #options: SilenceWatchOptions;
  readonly #waiting = new Set<Waiting>();
  #timer: Timer | undefined;
  #isAsking = false;
  /** Until the server says something again. */
  #silence: ServerSilentError | null = null;
  #isStopped = false;

  constructor(options: SilenceWatchOptions) {
    this.#options = options;
  }

  /**
   * What `work` gives, unless the server falls silent before, or is so already: then ServerSilentError. Callers try again within one deadline, so
   * that a silence which is known must not cost them the same wait once more. `work` cannot be stopped where it waits for a connection; when it
   * gets one after all it is to ask whether it has been given up, and to do nothing then.
   */
  async guard<T>(work: (isGivenUp: () => boolean) => Promise<T>): Promise<T> {
    if (this.#silence !== null) throw this.#silence;
    let reject: (error: Error) => void = () => undefined;
    const silence = new Promise<never>((_, refuse) => (reject = refuse));
    const waiting: Waiting = {
      giveUp(error) {
        waiting.isGivenUp = true;
        reject(error);
      },
      isGivenUp: false,
      askAtMs: this.#options.clock.monotonic() + askAfterMs,
    };
    this.#waiting.add(waiting);
    if (!this.#isAsking) this.#timer ??= this.#askIn(askAfterMs);
    try {
      return await Promise.race([work(() => waiting.isGivenUp), silence]);
    } finally {
      this.#waiting.delete(waiting);
    }
  }

  /** Asks no more. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  #askIn(delayMs: number): Timer {
    return this.#options.timers.after(delayMs, () => void this.#askIfDue(), { keepAlive: false });
  }

  /** Where statements come and go all the time, whoever set the timer has been answered long ago. */
  async #askIfDue(): Promise<void> {
    this.#timer = undefined;
    if (this.#nextAskInMs() <= 0) await this.#ask();
    if (this.#waiting.size > 0 && !this.#isStopped) this.#timer ??= this.#askIn(Math.max(0, this.#nextAskInMs()));
  }

  #nextAskInMs(): number {
    const askAtMs = [...this.#waiting].reduce((first, one) => Math.min(first, one.askAtMs), Number.POSITIVE_INFINITY);
    return askAtMs - this.#options.clock.monotonic();
  }

  async #ask(): Promise<void> {
    const { clock, logger, isSilent, cut } = this.#options;
    const asking = [...this.#waiting];
    this.#isAsking = true;
    const silent = await isSilent();
    this.#isAsking = false;
    for (const one of asking) one.askAtMs = clock.monotonic() + askAgainMs;
    if (!silent || this.#isStopped) return;
    const error = new ServerSilentError();
    logger.warn({ waiting: this.#waiting.size }, `${error.message}: what waits for it is given up`);
    this.#silence = error;
    for (const one of this.#waiting) one.giveUp(error);
    cut(error);
    void this.#waitForAnswer();
  }

  /** One question after the other. That which the server finds when it goes on is answered at once. */
  async #waitForAnswer(): Promise<void> {
    while (this.#silence !== null && !this.#isStopped) {
      if (await this.#options.isSilent()) continue;
      this.#silence = null;
      this.#options.logger.info("the database answers again");
    }
  }
}
