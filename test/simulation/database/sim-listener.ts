import type { Listener, ListenerOptions } from "@headroom/postgres";
import type { SimProcess } from "../engine/sim-process.ts";
import type { SimPostgres } from "./sim-postgres.ts";

/** How long a listener looks before it tries again. */
const retryMs = 300;

/** Hears what was notified; while the server is down, nothing. */
export class SimListener implements Listener {
  readonly #server: SimPostgres;
  readonly #owner: SimProcess;
  readonly #options: Omit<ListenerOptions, "connection">;
  readonly #handlers = new Map<string, Set<(payload: string) => void>>();
  #hears = false;
  #isStarted = false;

  constructor(server: SimPostgres, owner: SimProcess, options: Omit<ListenerOptions, "connection">) {
    this.#server = server;
    this.#owner = owner;
    this.#options = options;
  }

  connected(): boolean {
    return this.#hears;
  }

  subscribe(channel: string, handler: (payload: string) => void): () => void {
    const handlers = this.#handlers.get(channel) ?? new Set();
    this.#handlers.set(channel, handlers);
    handlers.add(handler);
    return () => void handlers.delete(handler);
  }

  start(): Promise<void> {
    this.#isStarted = true;
    this.#hears = !this.#server.weather.isDown;
    if (!this.#hears) this.#tryAgain();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#isStarted = false;
    this.#hears = false;
    return Promise.resolve();
  }

  hear(channel: string, payload: string, delayMs: number): void {
    if (!this.#hears || this.#handlers.get(channel) === undefined) return;
    this.#server.engine.schedule(delayMs, this.#owner, `notified on ${channel}`, () => {
      for (const handler of this.#handlers.get(channel) ?? []) handler(payload);
    });
  }

  /** The connection broke. */
  lose(): void {
    if (!this.#hears) return;
    this.#hears = false;
    this.#tryAgain();
  }

  #tryAgain(): void {
    this.#server.engine.schedule(retryMs, this.#owner, "listens again", () => {
      if (!this.#isStarted) return;
      if (this.#server.weather.isDown) return this.#tryAgain();
      this.#hears = true;
      this.#options.onReconnect?.();
    });
  }
}
