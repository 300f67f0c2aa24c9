import pg from "pg";
import { jitter, type Logger, type Ports, sleep } from "@headroom/runtime";
import { classifyError, isRefusal } from "./classify-error.ts";
import { clientConfig, type ConnectionTarget, describeTarget } from "./connection.ts";
import { ReadOnlyServerError } from "./session.ts";

/** No database: it never answered within the deadline, or it answered that we may not in. The message says what to do. */
export class DatabaseAwayError extends Error {
  override readonly name = "DatabaseAwayError";
}

export interface WaitForDatabaseOptions {
  readonly connection: ConnectionTarget;
  readonly logger: Logger;
  readonly ports: Ports;
  /** Gives up when it aborts, with its reason. */
  readonly signal?: AbortSignal;
  /** How long to wait at most. Default: until `signal`. */
  readonly deadlineMs?: number;
  readonly applicationName?: string;
}

const firstPauseMs = 250;
const longestPauseMs = 5_000;
const connectTimeoutMs = 5_000;
/** PostgreSQL 15.0 in the server's own numbering. */
const oldestServerVersion = 150_000;

const wayOut =
  "start PostgreSQL there, or correct DATABASE_URL; without DATABASE_URL, `headroom up` runs a PostgreSQL of its own";

/**
 * Resolves when the database answers and takes writes. Tries for ever (or until the deadline or the signal), with pauses that grow from
 * 0.25 s to 5 s, and logs each try: a disk that is full may have room again. What waiting cannot heal (wrong password, no such database, too old) is
 * thrown at once.
 */
export async function waitForDatabase(options: WaitForDatabaseOptions): Promise<void> {
  const { ports, logger, signal } = options;
  const target = describeTarget(options.connection);
  const startedMs = ports.clock.monotonic();
  for (let tries = 1; ; tries += 1) {
    signal?.throwIfAborted();
    try {
      await tryOnce(options);
      if (tries > 1) logger.info({ tries }, `${target} answers`);
      return;
    } catch (error) {
      if (error instanceof DatabaseAwayError) throw error;
      const cause = error instanceof Error ? error.message || String(Reflect.get(error, "code")) : String(error);
      if (!mayHeal(error)) {
        throw new DatabaseAwayError(`${target} cannot be used: ${cause}; correct DATABASE_URL`, { cause: error });
      }
      const waitedMs = ports.clock.monotonic() - startedMs;
      const pauseMs = jitter(ports.random, Math.min(longestPauseMs, firstPauseMs * 2 ** Math.min(tries - 1, 10)), 0.2);
      if (options.deadlineMs !== undefined && waitedMs + pauseMs > options.deadlineMs) {
        throw new DatabaseAwayError(
          `${target} did not answer in ${Math.ceil(waitedMs / 1_000)} s (${tries} tries, last: ${cause}); ${wayOut}`,
          { cause: error },
        );
      }
      logger.warn({ tries, retry_in_ms: Math.round(pauseMs) }, `waiting for ${target}: ${cause}; ${wayOut}`);
      await sleep(ports.timers, pauseMs, signal);
    }
  }
}

/** Whether the server may be well again without anybody correcting what it was asked. */
export function mayHeal(error: unknown): boolean {
  if (isRefusal(error)) return false;
  const { kind } = classifyError(error);
  return kind === "unavailable" || kind === "disk_full" || kind === "timeout";
}

async function tryOnce(options: WaitForDatabaseOptions): Promise<void> {
  const applicationName = options.applicationName ?? "headroom";
  const client = new pg.Client({
    ...clientConfig(options.connection, { applicationName, connectTimeoutMs }),
    query_timeout: connectTimeoutMs,
  });
  // Without a listener a connection that breaks at the wrong moment ends the process; the query below rejects anyway.
  client.on("error", () => undefined);
  try {
    await client.connect();
    const result = await client.query<{ version: number; text: string; is_read_only: boolean }>(
      `SELECT current_setting('server_version_num')::int AS version, current_setting('server_version') AS text,
              current_setting('transaction_read_only') = 'on' AS is_read_only`,
    );
    const row = result.rows[0];
    if (row !== undefined && row.version < oldestServerVersion) {
      throw new DatabaseAwayError(
        `${describeTarget(options.connection)} runs PostgreSQL ${row.text}; Headroom needs 15 or newer`,
      );
    }
    // Its primary is elsewhere, or on its way.
    if (row?.is_read_only === true) throw new ReadOnlyServerError();
  } finally {
    await client.end().catch(() => undefined);
  }
}
