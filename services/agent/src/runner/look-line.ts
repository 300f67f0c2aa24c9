import { keepingThread, type Timers } from "@headroom/runtime";

/** A folder and a program are found within milliseconds, and where a disk has to spin up first within seconds. */
export const lookLimitMs = 30_000;

export type Looked<Seen> =
  | { readonly kind: "seen"; readonly seen: Seen }
  /** Not there in time: it hangs, or waits for others. */
  | { readonly kind: "late" }
  /** Not made: an earlier one hangs. */
  | { readonly kind: "blocked" }
  /** The signal aborted. */
  | { readonly kind: "unwanted" };

/**
 * Looks at files, one after another. One at a drive that is away (a hard NFS mount) may never end, nor can it be ended: it keeps one of the
 * four threads by which all files of this process are read and written. So one at most hangs for each line, and while it does no other is made.
 */
export class LookLine {
  readonly #timers: Timers;
  /** Of the looks before; never rejects. */
  #before: Promise<void> = Promise.resolve();
  #hangs = false;

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  /** Answers within `lookLimitMs`, the wait for its turn included, and at once when `signal` aborts. What a look finds after that goes to `drop`. */
  look<Seen>(
    find: () => Promise<Seen>,
    drop: (seen: Seen) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<Looked<Seen>> {
    if (signal?.aborted === true) return Promise.resolve({ kind: "unwanted" });
    if (this.#hangs) return Promise.resolve({ kind: "blocked" });
    return new Promise((resolve, reject) => {
      let isOver = false;
      const end = (): void => {
        isOver = true;
        timer.cancel();
        signal?.removeEventListener("abort", abort);
      };
      const answer = (looked: Looked<Seen>): void => {
        end();
        resolve(looked);
      };
      const abort = (): void => answer({ kind: "unwanted" });
      const timer = this.#timers.after(lookLimitMs, () => answer({ kind: "late" }));
      signal?.addEventListener("abort", abort, { once: true });
      const turn = async (): Promise<void> => {
        if (isOver) return;
        const seen = await this.#watched(find);
        if (isOver) await drop(seen);
        else answer({ kind: "seen", seen });
      };
      this.#before = this.#before.then(turn).catch((error: unknown) => {
        end();
        // Changes nothing once it was answered.
        reject(error);
      });
    });
  }

  /** The look is watched for itself: whoever asked for it may have gone before it hangs. */
  async #watched<Seen>(find: () => Promise<Seen>): Promise<Seen> {
    const timer = this.#timers.after(lookLimitMs, () => {
      this.#hangs = true;
    });
    try {
      return await keepingThread(find());
    } finally {
      timer.cancel();
      this.#hangs = false;
    }
  }
}
