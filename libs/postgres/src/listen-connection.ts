import pg from "pg";
import { createDeferred, type Ports, sleep, withTimeout } from "@headroom/runtime";
import { clientConfig, type ConnectionTarget } from "./connection.ts";
import { quoteIdentifier } from "./session.ts";

export interface ListenConnectionOptions {
  readonly connection: ConnectionTarget;
  readonly applicationName: string;
  readonly ports: Ports;
  readonly probeTimeoutMs: number;
  onNotification(channel: string, payload: string): void;
}

/** One connection that listens; it fails once and is then thrown away. */
export interface ListenConnection {
  /** Takes effect before the next probe resolves; a failure shows there. */
  listen(channel: string): void;
  unlisten(channel: string): void;
  /**
   * Notifies itself and waits to hear it. Rejects when the connection is dead, also when the socket still looks alive
   * (a pooler in transaction mode, a failover behind a proxy).
   */
  probe(signal: AbortSignal): Promise<void>;
  /** Resolves after `limitMs`, or when `signal` aborts; rejects as soon as the connection fails. */
  untilClosed(limitMs: number, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

const probeChannel = "headroom_listen_probe";

export async function openListenConnection(options: ListenConnectionOptions): Promise<ListenConnection> {
  const { ports } = options;
  const client = new pg.Client(
    clientConfig(options.connection, { applicationName: options.applicationName, connectTimeoutMs: 5_000 }),
  );
  const failed = createDeferred<never>();
  // Whoever waits races with this promise; when nobody waits, the next wait finds it rejected.
  failed.promise.catch(() => undefined);
  client.on("error", (error) => failed.reject(error));
  client.on("end", () => failed.reject(new Error("the listening connection was closed")));
  const probes = new Map<string, () => void>();
  client.on("notification", ({ channel, payload = "" }) => {
    if (channel === probeChannel) probes.get(payload)?.();
    else options.onNotification(channel, payload);
  });
  await client.connect();

  // One after the other; pg is about to stop queueing by itself.
  let last: Promise<unknown> = Promise.resolve();
  const run = (sql: string, values: unknown[] = []): void => {
    last = last.then(() => client.query(sql, values)).catch((error: unknown) => failed.reject(error));
  };
  run(`LISTEN ${quoteIdentifier(probeChannel)}`);

  return {
    listen: (channel) => run(`LISTEN ${quoteIdentifier(channel)}`),
    unlisten: (channel) => run(`UNLISTEN ${quoteIdentifier(channel)}`),
    async probe(signal) {
      if (signal.aborted) return;
      const nonce = ports.random.uuid();
      const heard = createDeferred();
      const aborted = (): void => heard.resolve();
      signal.addEventListener("abort", aborted, { once: true });
      probes.set(nonce, () => heard.resolve());
      try {
        run("SELECT pg_notify($1, $2)", [probeChannel, nonce]);
        const silent = (): Error =>
          new Error(`the listening connection did not hear itself within ${options.probeTimeoutMs} ms`);
        await withTimeout(ports.timers, options.probeTimeoutMs, Promise.race([heard.promise, failed.promise]), silent);
      } finally {
        signal.removeEventListener("abort", aborted);
        probes.delete(nonce);
      }
    },
    async untilClosed(limitMs, signal) {
      const wait = new AbortController();
      const pause = sleep(ports.timers, limitMs, AbortSignal.any([signal, wait.signal])).catch(() => undefined);
      try {
        await Promise.race([pause, failed.promise]);
      } finally {
        wait.abort();
      }
    },
    async close() {
      // A dead peer would not answer the goodbye; the socket is closed whatever happens.
      const ended = client.end().catch(() => undefined);
      await withTimeout(ports.timers, 1_000, ended, () => new Error("no answer")).catch(() => {
        client.connection.stream.destroy();
      });
    },
  };
}
