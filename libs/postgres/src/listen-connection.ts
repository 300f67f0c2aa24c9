import pg from "pg";
import { createDeferred, type Deferred, type Ports, withTimeout } from "@headroom/runtime";
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
  let failure: { readonly error: unknown } | undefined;
  const waits = new Set<Deferred<void>>();
  const fail = (error: unknown): void => {
    failure ??= { error };
    for (const wait of waits) wait.reject(failure.error);
  };
  client.on("error", fail);
  client.on("end", () => fail(new Error("the listening connection was closed")));
  const probes = new Map<string, () => void>();
  client.on("notification", ({ channel, payload = "" }) => {
    if (channel === probeChannel) probes.get(payload)?.();
    else options.onNotification(channel, payload);
  });
  await client.connect();

  // One after the other; pg is about to stop queueing by itself.
  let last: Promise<unknown> = Promise.resolve();
  const run = (sql: string, values: unknown[] = []): void => {
    last = last.then(() => client.query(sql, values)).catch(fail);
  };
  run(`LISTEN ${quoteIdentifier(probeChannel)}`);

  /**
   * Until `wait` is settled or `signal` aborts; rejects as soon as the connection fails. Nothing of it outlasts it: both live for weeks,
   * and a promise or a signal that is raced with again and again keeps every race.
   */
  async function settled(wait: Deferred<void>, signal: AbortSignal): Promise<void> {
    const aborted = (): void => wait.resolve();
    if (failure !== undefined) wait.reject(failure.error);
    if (signal.aborted) aborted();
    signal.addEventListener("abort", aborted, { once: true });
    waits.add(wait);
    try {
      await wait.promise;
    } finally {
      waits.delete(wait);
      signal.removeEventListener("abort", aborted);
    }
  }

  return {
    listen: (channel) => run(`LISTEN ${quoteIdentifier(channel)}`),
    unlisten: (channel) => run(`UNLISTEN ${quoteIdentifier(channel)}`),
    async probe(signal) {
      if (signal.aborted) return;
      const nonce = ports.random.uuid();
      const heard = createDeferred();
      probes.set(nonce, () => heard.resolve());
      const silence = ports.timers.after(options.probeTimeoutMs, () =>
        heard.reject(new Error(`the listening connection did not hear itself within ${options.probeTimeoutMs} ms`)),
      );
      try {
        run("SELECT pg_notify($1, $2)", [probeChannel, nonce]);
        await settled(heard, signal);
      } finally {
        silence.cancel();
        probes.delete(nonce);
      }
    },
    async untilClosed(limitMs, signal) {
      const over = createDeferred();
      const limit = ports.timers.after(limitMs, () => over.resolve());
      try {
        await settled(over, signal);
      } finally {
        limit.cancel();
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
