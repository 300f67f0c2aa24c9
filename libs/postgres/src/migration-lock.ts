import type { Knex } from "knex";
import { type Logger, type Ports, sleep } from "@headroom/runtime";

/** Another process kept the schema's migration lock for longer than we may wait, or the connection that held ours is gone. */
export class MigrationLockError extends Error {
  override readonly name = "MigrationLockError";
}

export interface MigrationLockOptions {
  readonly schema: string;
  readonly logger: Logger;
  readonly ports: Ports;
  readonly lockWaitMs?: number;
  readonly signal?: AbortSignal;
}

export interface MigrationLock {
  /** Throws MigrationLockError unless what `db` does next is done by the session that took the lock. */
  check(db: Knex): Promise<void>;
}

const pollMs = 100;
const defaultLockWaitMs = 600_000;

/**
 * Takes the schema's advisory lock for the one connection of `db`, which must have no second one: the lock then goes with the session that does the work,
 * and the work with it. A lock on a connection of its own could be lost, and taken by another process, while the work goes on.
 * The server frees it by itself when the connection ends.
 *
 * It polls instead of waiting inside the server: a session that waits there holds a snapshot, and
 * CREATE INDEX CONCURRENTLY of the one that migrates would wait for that snapshot, for ever.
 */
export async function takeMigrationLock(db: Knex, options: MigrationLockOptions): Promise<MigrationLock> {
  const { schema, ports, logger, signal } = options;
  const startedMs = ports.clock.monotonic();
  for (let tries = 1; ; tries += 1) {
    signal?.throwIfAborted();
    const session = await tryLock(db, schema);
    if (session !== null) return { check: (on) => requireSession(on, session) };
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
}

/** The session that has it now; null: another one has. */
async function tryLock(db: Knex, schema: string): Promise<number | null> {
  const { rows } = await db.raw<{ readonly rows: readonly { readonly locked: boolean; readonly pid: number }[] }>(
    "SELECT pg_try_advisory_lock(hashtext('headroom-migrate'), hashtext(:schema)) AS locked, pg_backend_pid() AS pid",
    { schema },
  );
  const [row] = rows;
  return row?.locked === true ? row.pid : null;
}

async function requireSession(db: Knex, session: number): Promise<void> {
  const { rows } = await db.raw<{ readonly rows: readonly { readonly pid: number }[] }>(
    "SELECT pg_backend_pid() AS pid",
  );
  if (rows[0]?.pid !== session) throw new MigrationLockError("the connection that held the migration lock is gone");
}
