import type { Timers } from "@headroom/runtime";

export interface BoundedReadsOptions {
  readonly timers: Timers;
  /** Longest that anybody waits for a reading. */
  readonly limitMs: number;
  /** Readings at once, those that hang included. */
  readonly atOnce: number;
  /** A reading has taken longer than the limit. */
  onHanging?(key: string): void;
}

export type BoundedRead<T> =
  | { readonly kind: "read"; readonly value: T }
  /** It hangs, or was not begun because an earlier one of the same key, or as many as are allowed, hang. */
  | { readonly kind: "hangs" };

interface Waiting {
  readonly key: string;
  begin(): void;
  giveUp(): void;
}

/**
 * Reads what may hang in the kernel. Such a reading cannot be ended, and keeps one of the four threads by which all files of this process
 * are read and written. So few are under way at once, one for each key, and nobody waits for one that hangs.
 */
export class BoundedReads {
  readonly #options: BoundedReadsOptions;
  readonly #underWay = new Set<string>();
  readonly #hanging = new Set<string>();
  #waiting: Waiting[] = [];

  constructor(options: BoundedReadsOptions) {
    this.#options = options;
  }

  /** Rejects with what the reading rejects with. The limit counts from when the reading is begun. */
  read<T>(key: string, reading: () => Promise<T>): Promise<BoundedRead<T>> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => resolve({ kind: "hangs" });
      if (this.#isInVain(key)) return giveUp();
      const begin = (): void => {
        this.#begin(key, reading, giveUp).then((value) => resolve({ kind: "read", value }), reject);
      };
      this.#waiting.push({ key, begin, giveUp });
      this.#goOn();
    });
  }

  #isInVain(key: string): boolean {
    return this.#hanging.has(key) || this.#hanging.size >= this.#options.atOnce;
  }

  async #begin<T>(key: string, reading: () => Promise<T>, giveUp: () => void): Promise<T> {
    this.#underWay.add(key);
    const timer = this.#options.timers.after(this.#options.limitMs, () => {
      this.#hanging.add(key);
      giveUp();
      this.#options.onHanging?.(key);
      this.#goOn();
    });
    try {
      return await reading();
    } finally {
      timer.cancel();
      this.#underWay.delete(key);
      this.#hanging.delete(key);
      this.#goOn();
    }
  }

  #goOn(): void {
    const inVain = this.#waiting.filter(({ key }) => this.#isInVain(key));
    if (inVain.length > 0) {
      this.#waiting = this.#waiting.filter(({ key }) => !this.#isInVain(key));
      for (const waiting of inVain) waiting.giveUp();
    }
    while (this.#underWay.size < this.#options.atOnce) {
      const next = this.#waiting.findIndex(({ key }) => !this.#underWay.has(key));
      const [waiting] = next === -1 ? [] : this.#waiting.splice(next, 1);
      if (waiting === undefined) return;
      waiting.begin();
    }
  }
}
