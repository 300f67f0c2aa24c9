import pg from "pg";
import { type Logger, type Ports, sleep } from "@headroom/runtime";
import { clientConfig, type ConnectionTarget } from "./connection.ts";

/** Another process kept the schema's migration lock for longer than we may wait. */
export class MigrationLockError extends Error {
  override readonly name = "MigrationLockError";
}

export interface MigrationLockOptions {
  readonly connection: ConnectionTarget;
  readonly schema: string;
  readonly logger: Logger;
  readonly ports: Ports;
  readonly lockWaitMs?: number;
  readonly signal?: AbortSignal;
}

const pollMs = 100;
const defaultLockWaitMs = 600_000;

/**
 * Runs `work` while holding the schema's advisory lock, which the server frees by itself when our connection ends.
 * It polls instead of waiting inside the server: a session that waits there holds a snapshot, and
 * CREATE INDEX CONCURRENTLY of the one that migrates would wait for that snapshot, for ever.
 */
export async function withMigrationLock<T>(options: MigrationLockOptions, work: () => Promise<T>): Promise<T> {
  const { schema, ports, logger, signal } = options;
  const client = new pg.Client(
    clientConfig(options.connection, { applicationName: `headroom-migrate-lock-${schema}`, connectTimeoutMs: 5_000 }),
  );
  // Losing this connection loses the lock but not the work in progress, which knex's own lock table still guards.
  client.on("error", (error) => logger.warn({ err: error, schema }, "lost the migration lock's connection"));
  await client.connect();
  try {
    const startedMs = ports.clock.monotonic();
    for (let tries = 1; !(await tryLock(client, schema)); tries += 1) {
      signal?.throwIfAborted();
      const waitedMs = ports.clock.monotonic() - startedMs;
      if (waitedMs > (options.lockWaitMs ?? defaultLockWaitMs)) {
        throw new MigrationLockError(
          `another process has been migrating schema "${schema}" for ${Math.round(waitedMs / 1_000)} s; ` +
            `find it with: SELECT pid, application_name, state, query FROM pg_stat_activity`,
        );
      }
      if (tries === 1) logger.info({ schema }, "another process migrates this schema; waiting for it");
      await sleep(ports.timers, pollMs, signal);
    }
    return await work();
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function tryLock(client: pg.Client, schema: string): Promise<boolean> {
  const result = await client.query<{ locked: boolean }>(
    "SELECT pg_try_advisory_lock(hashtext('headroom-migrate'), hashtext($1)) AS locked",
    [schema],
  );
  return result.rows[0]?.locked === true;
}
