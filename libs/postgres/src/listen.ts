import { createDeferred, jitter, type Logger, type Ports, type Service, sleep } from "@headroom/runtime";
import { openListenConnection, type ListenConnection } from "./listen-connection.ts";
import type { ConnectionTarget } from "./connection.ts";

/** Listens for NOTIFY on one connection of its own. A hint, never the truth: whoever uses it polls as well. */
export interface Listener extends Service {
  /**
   * Calls `handler` for every notification on `channel` (1 to 63 bytes); returns how to end that. May be called before
   * and after start. Resolves nothing and never throws later: an error of a handler is logged.
   */
  subscribe(channel: string, handler: (payload: string) => void): () => void;
  /** Whether notifications arrive at this moment, as far as the last test can tell. */
  connected(): boolean;
}

export interface ListenerOptions {
  readonly connection: ConnectionTarget;
  readonly logger: Logger;
  readonly ports: Ports;
  readonly applicationName?: string;
  /**
   * The listener hears again after a time in which it may have missed notifications (after each reconnect, and when
   * the first connection came after `start`): look for yourself now.
   */
  readonly onReconnect?: () => void;
  /** How often the connection is tested with a notification to itself. Default 30,000. */
  readonly testIntervalMs?: number;
}

const firstPauseMs = 100;
const longestPauseMs = 10_000;
/** After this long without an answer to our own notification the connection counts as dead. */
const probeTimeoutMs = 5_000;

/**
 * `start` resolves after the first try to connect, whether or not it succeeded: a service works, only slower, without
 * notifications. From then on it reconnects for ever, with pauses from 0.1 s to 10 s.
 */
export function createListener(options: ListenerOptions): Listener {
  return new ReconnectingListener(options);
}

type Handler = (payload: string) => void;

class ReconnectingListener implements Listener {
  readonly #options: ListenerOptions;
  readonly #handlers = new Map<string, Set<Handler>>();
  #connection: ListenConnection | undefined;
  #hears = false;
  #running:
    | { readonly abort: AbortController; readonly loop: Promise<void>; readonly firstTry: Promise<void> }
    | undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
  }

  connected(): boolean {
    return this.#hears;
  }

  subscribe(channel: string, handler: Handler): () => void {
    const bytes = Buffer.byteLength(channel);
    if (bytes === 0 || bytes > 63) throw new Error(`channel "${channel}" has ${bytes} bytes; it needs 1 to 63`);
    let handlers = this.#handlers.get(channel);
    if (handlers === undefined) {
      handlers = new Set();
      this.#handlers.set(channel, handlers);
      this.#connection?.listen(channel);
    }
    handlers.add(handler);
    return () => this.#unsubscribe(channel, handler);
  }

  start(): Promise<void> {
    if (this.#running === undefined) {
      const abort = new AbortController();
      const firstTry = createDeferred();
      const loop = this.#keepConnected(abort.signal, () => firstTry.resolve());
      this.#running = { abort, loop, firstTry: firstTry.promise };
    }
    return this.#running.firstTry;
  }

  async stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    running.abort.abort(new Error("the listener was stopped"));
    await running.loop;
    if (this.#running === running) this.#running = undefined;
  }

  #unsubscribe(channel: string, handler: Handler): void {
    const handlers = this.#handlers.get(channel);
    if (handlers?.delete(handler) === true && handlers.size === 0) {
      this.#handlers.delete(channel);
      this.#connection?.unlisten(channel);
    }
  }

  /** Ends only when `signal` aborts, and then never rejects. */
  async #keepConnected(signal: AbortSignal, firstTryDone: () => void): Promise<void> {
    const { logger, ports } = this.#options;
    let failures = 0;
    let missedSome = false;
    while (!signal.aborted) {
      try {
        await this.#listenOnce(signal, () => {
          failures = 0;
          if (missedSome) this.#tellReconnected();
          firstTryDone();
        });
      } catch (error) {
        if (!signal.aborted) logger.warn({ err: error }, "not listening for database notifications; polling covers it");
      }
      firstTryDone();
      missedSome = true;
      failures += 1;
      const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(failures - 1, 10));
      await sleep(ports.timers, jitter(ports.random, pauseMs, 0.2), signal).catch(() => undefined);
    }
  }

  /** Connects and listens until the connection fails (throws) or `signal` aborts. */
  async #listenOnce(signal: AbortSignal, onReady: () => void): Promise<void> {
    const { ports, testIntervalMs = 30_000 } = this.#options;
    const connection = await openListenConnection({
      connection: this.#options.connection,
      applicationName: this.#options.applicationName ?? "headroom-listen",
      ports,
      probeTimeoutMs,
      onNotification: (channel, payload) => this.#dispatch(channel, payload),
    });
    try {
      for (const channel of this.#handlers.keys()) connection.listen(channel);
      this.#connection = connection;
      await connection.probe(signal);
      this.#hears = !signal.aborted;
      onReady();
      while (!signal.aborted) {
        await connection.untilClosed(testIntervalMs, signal);
        await connection.probe(signal);
      }
    } finally {
      this.#hears = false;
      this.#connection = undefined;
      await connection.close();
    }
  }

  #dispatch(channel: string, payload: string): void {
    for (const handler of this.#handlers.get(channel) ?? []) {
      try {
        handler(payload);
      } catch (error) {
        this.#options.logger.error({ err: error, channel }, "a notification's handler failed");
      }
    }
  }

  #tellReconnected(): void {
    this.#options.logger.info("listening for database notifications again");
    try {
      this.#options.onReconnect?.();
    } catch (error) {
      this.#options.logger.error({ err: error }, "the handler of a reconnect failed");
    }
  }
}
