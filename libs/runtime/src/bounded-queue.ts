/** What a full queue does with one more: not take it, or take it and drop the oldest. */
export type WhenFull = "refuse" | "drop_oldest";

export interface BoundedQueueOptions {
  /** Items that may wait, 1 or more. */
  readonly max: number;
  /** Default "refuse". */
  readonly whenFull?: WhenFull;
}

interface Reader<T> {
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/** A queue with a bound, read with `for await`. Whoever leaves the loop closes the queue, so that writers notice. */
export class BoundedQueue<T> implements AsyncIterable<T> {
  readonly #max: number;
  readonly #whenFull: WhenFull;
  #items: T[] = [];
  readonly #readers: Reader<T>[] = [];
  #closed = false;
  #error: unknown;
  #dropped = 0;
  #closeListener: (() => void) | undefined;

  constructor(options: BoundedQueueOptions) {
    if (!(options.max >= 1)) throw new RangeError("a queue needs room for at least one item");
    this.#max = options.max;
    this.#whenFull = options.whenFull ?? "refuse";
  }

  get size(): number {
    return this.#items.length;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Items that "drop_oldest" threw away. */
  get dropped(): number {
    return this.#dropped;
  }

  /** False: not taken, because it is closed, or full and refusing. */
  push(item: T): boolean {
    if (this.#closed) return false;
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: item });
      return true;
    }
    if (this.#items.length >= this.#max) {
      if (this.#whenFull === "refuse") return false;
      this.#items.shift();
      this.#dropped += 1;
    }
    this.#items.push(item);
    return true;
  }

  /** No more items; what waits can still be read. With an error the reader gets it after them. Idempotent, the first call counts. */
  close(error?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    // A reader that waits is told at once, and then there is nothing left to tell.
    this.#error = this.#readers.length > 0 ? undefined : error;
    for (const reader of this.#readers.splice(0)) {
      if (error === undefined) reader.resolve({ done: true, value: undefined });
      else reader.reject(error);
    }
    this.#closeListener?.();
  }

  /** Calls `listener` once when the queue is closed from either side; one listener only, the owner's. */
  onClose(listener: () => void): void {
    if (this.#closed) listener();
    else this.#closeListener = listener;
  }

  /** The next item; `done` once closed and empty. At most `max` readers may wait at once. */
  next(): Promise<IteratorResult<T, undefined>> {
    if (this.#items.length > 0) {
      // The length was just looked at, and T may itself include undefined.
      return Promise.resolve({ done: false, value: this.#items.shift() as T });
    }
    if (this.#error !== undefined) return Promise.reject(this.#takeError());
    if (this.#closed) return Promise.resolve({ done: true, value: undefined });
    if (this.#readers.length >= this.#max) return Promise.reject(new RangeError("too many readers wait"));
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }));
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    return {
      next: () => this.next(),
      return: () => {
        this.close();
        this.#items = [];
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  /** The error is told once; afterwards the queue is merely at its end. */
  #takeError(): unknown {
    const error = this.#error;
    this.#error = undefined;
    return error;
  }
}
