/**
 * Notices that the registry process which is asked can promise nothing, and leaves it: calls go over a new connection, to another process where there is
 * one, and whoever watches this one is told. It may tell what it remembers for as long as it likes: a newer process beside it has changed its schema.
 */
import type { Channel } from "@headroom/rpc";
import type { Timers } from "@headroom/runtime";
import { saysItCannotServe } from "./refusal.ts";

/** Where every process says so, the whole fleet is not read anew for each call that is refused. */
const STAY_MS = 5_000;

export class UnfitWatch {
  readonly #channel: Pick<Channel, "reconnect">;
  readonly #timers: Timers;
  readonly #listeners = new Set<(error: unknown) => void>();
  #stays = false;

  constructor(channel: Pick<Channel, "reconnect">, timers: Timers) {
    this.#channel = channel;
    this.#timers = timers;
  }

  /** The answer to a call, and what it says of the process. */
  async heard<T>(call: Promise<T>): Promise<T> {
    try {
      return await call;
    } catch (error) {
      if (saysItCannotServe(error)) this.#leave(error);
      throw error;
    }
  }

  /** Told with what the process said when it is left. Returns how to end that. */
  onLeft(listener: (error: unknown) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #leave(error: unknown): void {
    if (this.#stays) return;
    this.#stays = true;
    this.#timers.after(STAY_MS, () => (this.#stays = false), { keepAlive: false });
    this.#channel.reconnect();
    for (const listener of this.#listeners) listener(error);
  }
}
