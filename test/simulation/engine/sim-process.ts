import type { Clock, Ports, Random, Timers } from "@headroom/runtime";
import { SeededRandom } from "@headroom/testing";
import type { Engine } from "./engine.ts";

export interface SimProcessOptions {
  readonly engine: Engine;
  readonly name: string;
  /** How far the wall clock of its machine is off. */
  readonly clockOffsetMs: number;
  readonly seed: number;
}

/**
 * One life of a process: its own view of the clock, timers and randomness. It can stand still (SIGSTOP), and die (SIGKILL) between any two
 * of its events, which is at any of its awaits. What it left behind then is never run again.
 */
export class SimProcess {
  readonly name: string;
  readonly ports: Ports;
  readonly #engine: Engine;
  #clockOffsetMs: number;
  #isDead = false;
  #isPaused = false;
  #held: (() => void)[] = [];
  readonly #deathListeners = new Set<() => void>();

  constructor({ engine, name, clockOffsetMs, seed }: SimProcessOptions) {
    this.#engine = engine;
    this.name = name;
    this.#clockOffsetMs = clockOffsetMs;
    const bornMs = engine.nowMs;
    const clock: Clock = {
      now: () => Math.floor(engine.wallMs + this.#clockOffsetMs),
      // From an arbitrary origin.
      monotonic: () => engine.nowMs - bornMs + 1_000,
    };
    const timers: Timers = {
      after: (delayMs, fn) => {
        if (Number.isNaN(delayMs)) throw new RangeError("a timer's delay must be a number of milliseconds, not NaN");
        if (delayMs === Number.POSITIVE_INFINITY) return { cancel: () => undefined };
        return engine.schedule(delayMs, this, "timer", fn);
      },
    };
    const random: Random = new SeededRandom(seed);
    this.ports = { clock, timers, random };
  }

  get isDead(): boolean {
    return this.#isDead;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Somebody sets the wall clock of its machine. */
  jumpClock(byMs: number): void {
    this.#clockOffsetMs += byMs;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    const held = this.#held;
    this.#held = [];
    for (const again of held) again();
  }

  /** For the engine: what would have happened while it stands still. */
  holdBack(again: () => void): void {
    this.#held.push(again);
  }

  kill(): void {
    if (this.#isDead) return;
    this.#isDead = true;
    this.#held = [];
    for (const listener of this.#deathListeners) listener();
    this.#deathListeners.clear();
  }

  /** Called when it dies, in the order of the calls; answers how to unsubscribe. */
  onDeath(listener: () => void): () => void {
    this.#deathListeners.add(listener);
    return () => void this.#deathListeners.delete(listener);
  }

  /** Runs something within the process, a moment from now. */
  do(what: string, action: () => void): void {
    this.#engine.schedule(0, this, what, action);
  }
}
