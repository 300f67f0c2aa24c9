import { BoundedQueue } from "./bounded-queue.ts";
import { OverloadedError } from "./semaphore.ts";

export interface BroadcastOptions {
  /** Subscribers and listeners at once. Default 10,000. */
  readonly maxSubscribers?: number;
  /** Values that may wait for one subscriber. Default 256. */
  readonly queueMax?: number;
  /** What happens to a subscriber that is too slow: it misses the oldest values, or it ends with LaggedError and must look anew. Default "end". */
  readonly whenSlow?: "drop_oldest" | "end";
  /** A listener threw; the others were told all the same. */
  onListenerError?(error: unknown): void;
}

/** A subscriber was too slow and has missed values: read the present state and subscribe again. */
export class LaggedError extends Error {
  override readonly name = "LaggedError";
}

/** Tells every subscriber each value. Telling never waits for anybody, and memory is bounded by maxSubscribers × queueMax. */
export class Broadcast<T> {
  readonly #options: BroadcastOptions;
  readonly #queues = new Set<BoundedQueue<T>>();
  readonly #listeners = new Map<symbol, (value: T) => void>();
  #closed = false;

  constructor(options: BroadcastOptions = {}) {
    this.#options = options;
  }

  get subscribers(): number {
    return this.#queues.size + this.#listeners.size;
  }

  emit(value: T): void {
    for (const queue of this.#queues) this.#give(queue, value);
    // A copy: a listener that adds another must not lengthen this very round.
    const listeners = Array.from(this.#listeners.values());
    for (const listener of listeners) {
      try {
        listener(value);
      } catch (error) {
        this.#options.onListenerError?.(error);
      }
    }
  }

  /** The values from now on. It ends when its reader leaves the loop, when `signal` aborts, or with the broadcast. Throws OverloadedError. */
  subscribe(signal?: AbortSignal): BoundedQueue<T> {
    const queue = new BoundedQueue<T>({
      max: this.#options.queueMax ?? 256,
      whenFull: this.#options.whenSlow === "drop_oldest" ? "drop_oldest" : "refuse",
    });
    if (this.#closed || signal?.aborted === true) {
      queue.close();
      return queue;
    }
    this.#checkRoom();
    this.#queues.add(queue);
    const leave = (): void => queue.close();
    signal?.addEventListener("abort", leave, { once: true });
    queue.onClose(() => {
      this.#queues.delete(queue);
      signal?.removeEventListener("abort", leave);
    });
    return queue;
  }

  /** Calls `listener` within each emit, so it must be quick. Returns how to leave (idempotent). Throws OverloadedError. */
  on(listener: (value: T) => void): () => void {
    if (this.#closed) return () => undefined;
    this.#checkRoom();
    const key = Symbol("listener");
    this.#listeners.set(key, listener);
    return () => {
      this.#listeners.delete(key);
    };
  }

  /** Ends every subscription; later ones end at once. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const queue of this.#queues) queue.close();
    this.#listeners.clear();
  }

  #give(queue: BoundedQueue<T>, value: T): void {
    if (!queue.push(value)) queue.close(new LaggedError("too slow: values were missed"));
  }

  #checkRoom(): void {
    if (this.subscribers >= (this.#options.maxSubscribers ?? 10_000))
      throw new OverloadedError(`${this.subscribers} subscribers are the most`);
  }
}
