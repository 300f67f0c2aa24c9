/**
 * Reads the heads of the queue a moment before they are needed: while the registry is being told that an attempt has ended, so that they are there when it
 * tells of the room. A shape that joins the queue meanwhile is not among them, so whoever uses them looks at the queue once more afterwards.
 */
import type { Clock } from "@headroom/runtime";
import type { QueueHead } from "../store/model.ts";
import type { HeadsOfQueue } from "./heads-of-queue.ts";

/** The room is told of within some milliseconds; heads that are older than this are not worth having. */
const usableMs = 50;

export class HeadsAhead {
  readonly #queue: Pick<HeadsOfQueue, "read">;
  readonly #clock: Clock;
  #read: { readonly atMs: number; readonly heads: Promise<readonly QueueHead[]> } | null = null;

  constructor(queue: Pick<HeadsOfQueue, "read">, clock: Clock) {
    this.#queue = queue;
    this.#clock = clock;
  }

  /** Room is about to appear. */
  expect(): void {
    if (this.#isUsable()) return;
    // Nothing was read ahead then; whoever looks at the queue afterwards learns why.
    const heads = this.#queue.read().catch(() => []);
    this.#read = { atMs: this.#clock.monotonic(), heads };
  }

  /** What was read ahead, once; empty: nothing was, or too long ago. */
  async take(): Promise<readonly QueueHead[]> {
    const heads = this.#isUsable() ? this.#read?.heads : undefined;
    this.#read = null;
    return heads ?? [];
  }

  #isUsable(): boolean {
    return this.#read !== null && this.#clock.monotonic() - this.#read.atMs <= usableMs;
  }
}
