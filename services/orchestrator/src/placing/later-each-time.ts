/**
 * How long a task waits that the registry refuses by itself: longer each time, so that it does not take the turn of those behind it that ask for the
 * same. Only a saving: a task that is forgotten begins anew.
 */
import { jitter, type Random } from "@headroom/runtime";

/** Its request is wrong, and stays so until an operator or an update has mended what is. */
const firstRefusedMs = 30_000;
/** The registry stumbled over it, or had too much to do: that may pass at any moment. */
const firstFailedMs = 2_000;
const longestMs = 600_000;
const maxTasks = 10_000;

export class LaterEachTime {
  readonly #random: Random;
  readonly #times = new Map<string, number>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** It was refused once more: after so long it is tried again. */
  next(taskId: string, mayPass: boolean): number {
    const times = this.#times.get(taskId) ?? 0;
    this.#times.delete(taskId);
    const oldest = this.#times.size >= maxTasks ? this.#times.keys().next().value : undefined;
    if (oldest !== undefined) this.#times.delete(oldest);
    this.#times.set(taskId, times + 1);
    const firstMs = mayPass ? firstFailedMs : firstRefusedMs;
    return jitter(this.#random, Math.min(longestMs, firstMs * 2 ** Math.min(times, 20)), 0.2);
  }

  /** The registry has answered what it was asked for it. */
  forget(taskId: string): void {
    this.#times.delete(taskId);
  }
}
