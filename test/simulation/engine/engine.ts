import { setImmediate as nextTurn } from "node:timers/promises";
import { SeededRandom } from "@headroom/testing";
import { EventQueue, type QueuedEvent } from "./event-queue.ts";
import { SimProcess } from "./sim-process.ts";
import { Trace } from "./trace.ts";

/** What is done when an event's time has come. A promise may wait for the real database only: virtual time stands still meanwhile. */
export type Action = () => void | Promise<void>;

/** A scheduled event, to be called off. */
export interface Scheduled {
  cancel(): void;
}

interface SimEvent extends QueuedEvent {
  readonly owner: SimProcess | null;
  readonly what: string;
  action: Action | null;
}

/** 2026-01-01T00:00:00Z: any fixed moment would do. */
const worldBeganMs = 1_767_225_600_000;

const keptLines = 4_000;
/** Real milliseconds that one event may take; the database answers in one. */
const stuckAfterMs = 60_000;

/**
 * The virtual world's time: one queue of events, each handled to its end, with every promise that follows from it, before the next. What is
 * random comes from the seed, so a run is the same each time.
 */
export class Engine {
  readonly random: SeededRandom;
  readonly trace = new Trace(keptLines);
  readonly #queue = new EventQueue<SimEvent>();
  readonly #beganMs: number;
  #nowMs = 0;
  #made = 0;
  #failure: unknown;

  /** `beganMs`: the true wall clock at its beginning. */
  constructor(seed: number, beganMs: number = worldBeganMs) {
    this.random = new SeededRandom(seed);
    this.#beganMs = beganMs;
  }

  /** Virtual milliseconds since the world began. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** The true wall clock of this world, epoch milliseconds; processes may believe another one. */
  get wallMs(): number {
    return this.#beganMs + this.#nowMs;
  }

  process(name: string, clockOffsetMs = 0): SimProcess {
    return new SimProcess({ engine: this, name, clockOffsetMs, seed: this.random.int(0, 2 ** 31) });
  }

  /**
   * Schedules an event. One that has an owner happens within that process: not while it stands still (it comes right after), and never once
   * it is dead.
   */
  schedule(delayMs: number, owner: SimProcess | null, what: string, action: Action): Scheduled {
    return this.scheduleAt(this.#nowMs + delayMs, owner, what, action);
  }

  /** The same at a moment: two events that are to come at one and the same come in the order in which they were made, whatever rounding does. */
  scheduleAt(atMs: number, owner: SimProcess | null, what: string, action: Action): Scheduled {
    this.#made += 1;
    const event: SimEvent = { atMs: Math.max(this.#nowMs, atMs), order: this.#made, owner, what, action };
    this.#queue.push(event);
    return { cancel: () => void (event.action = null) };
  }

  /** The world is broken: the run ends with this error. */
  fail(error: unknown): void {
    this.#failure ??= error;
  }

  note(who: string, what: string, shown = true): void {
    this.trace.add(this.#nowMs, who, what, shown);
  }

  /** Lets the world go on until `isOver` answers true, or virtual time has passed. Answers whether it was over. */
  async run(forMs: number, isOver: () => boolean = () => false): Promise<boolean> {
    const endMs = this.#nowMs + forMs;
    await nextTurn();
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      if (isOver()) return true;
      const next = this.#queue.peek();
      if (next === undefined || next.atMs > endMs) break;
      this.#queue.pop();
      await this.#handle(next);
    }
    this.#nowMs = endMs;
    return isOver();
  }

  async #handle(event: SimEvent): Promise<void> {
    const { owner, what } = event;
    if (event.action === null || owner?.isDead === true) return;
    if (owner?.isPaused === true) {
      owner.holdBack(() => this.schedule(0, owner, what, () => event.action?.()));
      return;
    }
    this.#nowMs = Math.max(this.#nowMs, event.atMs);
    this.trace.add(this.#nowMs, owner?.name ?? "world", what, false);
    const { action } = event;
    event.action = null;
    const done = action();
    if (done instanceof Promise) await inRealTime(done, what);
    // Node empties the queue of promises before the next turn, however long their chains are.
    await nextTurn();
  }
}

async function inRealTime(done: Promise<void>, what: string): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const stuck = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`stuck in "${what}" for ${stuckAfterMs / 1_000} s`)), stuckAfterMs);
  });
  try {
    await Promise.race([done, stuck]);
  } finally {
    clearTimeout(timer);
  }
}
