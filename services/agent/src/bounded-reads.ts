import type { Timers } from "@headroom/runtime";

export interface BoundedReadsOptions {
  readonly timers: Timers;
  /** Longest that anybody waits for a reading. */
  readonly limitMs: number;
  /** Readings at once, those that hang not counted. */
  readonly atOnce: number;
  /** Readings that may hang. While so many do, no other is begun. */
  readonly mayHang: number;
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
 * Reads what may hang in the kernel. Such a reading cannot be ended, and keeps the thread that makes it. So few are under way at once, one
 * for each key, and nobody waits for one that hangs.
 */
export class BoundedReads {
  readonly #options: BoundedReadsOptions;
  /** By key, with those of the same key that wait for it. */
  readonly #underWay = new Map<string, Waiting[]>();
  readonly #hanging = new Set<string>();
  /** null: has had its turn, and is held no more, for it holds what it has read. */
  readonly #waiting: (Waiting | null)[] = [];
  /** Of those that wait, the first that has not had its turn: to shift a long queue at each turn costs as much as it is long. */
  #next = 0;

  constructor(options: BoundedReadsOptions) {
    this.#options = options;
  }

  /** So many hang that no other is begun. */
  get isExhausted(): boolean {
    return this.#hanging.size >= this.#options.mayHang;
  }

  /** Rejects with what the reading rejects with. The limit counts from when the reading is begun. */
  read<T>(key: string, reading: () => Promise<T>): Promise<BoundedRead<T>> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => resolve({ kind: "hangs" });
      const begin = (): void => {
        this.#begin(key, reading, giveUp).then((value) => resolve({ kind: "read", value }), reject);
      };
      this.#waiting.push({ key, begin, giveUp });
      this.#goOn();
    });
  }

  async #begin<T>(key: string, reading: () => Promise<T>, giveUp: () => void): Promise<T> {
    this.#underWay.set(key, []);
    const timer = this.#options.timers.after(this.#options.limitMs, () => {
      this.#hanging.add(key);
      giveUp();
      this.#options.onHanging?.(key);
      this.#queueAgain(key);
      this.#goOn();
    });
    try {
      return await reading();
    } finally {
      timer.cancel();
      this.#hanging.delete(key);
      this.#queueAgain(key);
      this.#underWay.delete(key);
      this.#goOn();
    }
  }

  /** Those that wait for the one under way take their turn: they are begun, or given up if it hangs. */
  #queueAgain(key: string): void {
    this.#waiting.push(...(this.#underWay.get(key)?.splice(0) ?? []));
  }

  #goOn(): void {
    const { atOnce } = this.#options;
    for (let waiting = this.#waiting[this.#next]; waiting != null; waiting = this.#waiting[this.#next]) {
      const isInVain = this.isExhausted || this.#hanging.has(waiting.key);
      if (!isInVain && this.#underWay.size - this.#hanging.size >= atOnce) return;
      this.#turnTaken();
      const same = this.#underWay.get(waiting.key);
      if (isInVain) waiting.giveUp();
      else if (same !== undefined) same.push(waiting);
      else waiting.begin();
    }
  }

  /** Places that were taken are cut off once they are half of the queue, which may never be empty. */
  #turnTaken(): void {
    this.#waiting[this.#next] = null;
    this.#next += 1;
    if (this.#next * 2 < this.#waiting.length) return;
    this.#waiting.splice(0, this.#next);
    this.#next = 0;
  }
}
