import type { Knex } from "knex";
import type { Logger, Ports } from "@headroom/runtime";
import { classifyError, type DatabaseErrorKind } from "./classify-error.ts";
import type { ConnectionTarget } from "./connection.ts";
import { saysNothing } from "./is-silent.ts";
import { clientSource, createKnexPool, cutPool, isPoolSilent } from "./knex-pool.ts";
import { givenUpError, runStatement } from "./run-statement.ts";
import { answerWithinMs, SilenceWatch } from "./silence-watch.ts";
import type { Statement } from "./statement.ts";
import { retryTransaction } from "./transaction-retry.ts";

/**
 * Runs hot statements: on any connection of the pool, or inside a transaction. On the pool a statement that was rolled back by a serialization failure or a
 * deadlock is run again; inside a transaction the whole of that is.
 */
export interface Queryable {
  /**
   * Runs a prepared statement and returns its rows. Values go as `pg` takes them: `new Date(ms)` for a timestamptz,
   * `JSON.stringify(x)` for jsonb, an array for an array. Back come int8 as number (RangeError beyond the safe
   * integers), timestamptz as epoch ms, json parsed. Throws pg's errors: see `classifyError`.
   */
  query<Row extends object>(statement: Statement<Row>, values?: readonly unknown[]): Promise<Row[]>;
  /** Runs a prepared statement and returns how many rows it changed (or returned). */
  execute<Row extends object>(statement: Statement<Row>, values?: readonly unknown[]): Promise<number>;
}

/** How often a transaction runs in all when the database asks to try again. */
const maxAttempts = 5;

/** One open transaction; of no use after it has ended. */
export type Transaction = Queryable;

/** A transaction on a pool. */
export interface PooledTransaction extends Transaction {
  /** knex's builder, bound to this transaction. */
  readonly knex: Knex.Transaction;
}

export interface TransactionOptions {
  /** Default: read committed. */
  readonly isolation?: "read committed" | "repeatable read" | "serializable";
  readonly readOnly?: boolean;
  /** How often the function may run in all when the database asks to try again. Default 5. */
  readonly maxAttempts?: number;
}

export interface PoolStats {
  readonly used: number;
  readonly free: number;
  /** Callers that wait for a connection. */
  readonly waiting: number;
}

/** One schema of a PostgreSQL, as stores need it: a port. */
export interface Database extends Queryable {
  readonly schema: string;
  /**
   * Runs `fn` in a transaction: commits when it resolves, rolls back when it rejects. After a serialization failure or
   * a deadlock it runs again, so `fn` must do nothing outside the database. A connection lost while committing is
   * not retried: nobody knows whether it was committed.
   */
  transaction<T>(fn: (tx: Transaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** Resolves when the server answers, else throws what `classifyError` calls `unavailable`. */
  ping(): Promise<void>;
  stats(): PoolStats;
  /** Closes the pool; waits up to 5 s for connections in use. Idempotent. */
  close(): Promise<void>;
}

/** A pool of connections. */
export interface PooledDatabase extends Database {
  /** knex's builder on the pool. */
  readonly knex: Knex;
  transaction<T>(fn: (tx: PooledTransaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
}

/** What a service may want to count. */
export interface DatabaseMetrics {
  statementFinished(statement: string, durationMs: number, outcome: "ok" | DatabaseErrorKind): void;
  transactionRetried(): void;
}

export interface DatabaseOptions {
  readonly connection: ConnectionTarget;
  /** The only schema of the search path. */
  readonly schema: string;
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  readonly logger: Logger;
  readonly ports: Ports;
  /** Connections at most. Default 10. */
  readonly max?: number;
  /** Default 30,000; 0 for none. */
  readonly statementTimeoutMs?: number;
  /** Default 10,000; 0 for none. */
  readonly lockTimeoutMs?: number;
  /** Default 30,000; 0 for none. */
  readonly idleInTransactionTimeoutMs?: number;
  /** Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** How long a caller waits for a free connection. Default 10,000. */
  readonly acquireTimeoutMs?: number;
  readonly metrics?: DatabaseMetrics;
}

/** A pool on one schema. Connects on first use; an idle connection that breaks is replaced, and never an uncaught error. */
export function createDatabase(options: DatabaseOptions): PooledDatabase {
  const db = createKnexPool({
    connection: options.connection,
    schema: options.schema,
    applicationName: options.applicationName,
    logger: options.logger,
    max: options.max ?? 10,
    connectTimeoutMs: options.connectTimeoutMs ?? 5_000,
    acquireTimeoutMs: options.acquireTimeoutMs ?? 10_000,
    limits: {
      statementTimeoutMs: options.statementTimeoutMs ?? 30_000,
      lockTimeoutMs: options.lockTimeoutMs ?? 10_000,
      idleInTransactionTimeoutMs: options.idleInTransactionTimeoutMs ?? 30_000,
    },
  });
  const watch = createSilenceWatch(db, options);
  let closed: Promise<void> | undefined;
  return {
    knex: db,
    schema: options.schema,
    ...again(guarded(db, options, watch), options),
    transaction: (fn, transactionOptions = {}) => runTransaction(db, options, watch, fn, transactionOptions),
    async ping() {
      await watch.guard(async () => db.raw("SELECT 1"));
    },
    stats() {
      const { pool } = clientSource(db);
      return { used: pool.numUsed(), free: pool.numFree(), waiting: pool.numPendingAcquires() };
    },
    close() {
      watch.stop();
      closed ??= db.destroy();
      return closed;
    },
  };
}

function createSilenceWatch(db: Knex, { connection, applicationName, ports, logger }: DatabaseOptions): SilenceWatch {
  const { clock, timers } = ports;
  const question = { connection, applicationName: `${applicationName}-asks`, withinMs: answerWithinMs, timers };
  return new SilenceWatch({
    clock,
    timers,
    logger,
    isSilent: () => isPoolSilent(db, answerWithinMs, () => saysNothing(question)),
    cut: (error) => cutPool(db, error),
  });
}

/** Each statement on any connection of the pool. */
function guarded(db: Knex, options: DatabaseOptions, watch: SilenceWatch): Queryable {
  return {
    query: async (statement, values = []) =>
      (await watch.guard((isGivenUp) => measured(db, options, statement, values, isGivenUp))).rows,
    execute: async (statement, values = []) =>
      (await watch.guard((isGivenUp) => measured(db, options, statement, values, isGivenUp))).rowCount,
  };
}

/** In a transaction, which is guarded as a whole. */
function queryable(db: Knex.Transaction, options: DatabaseOptions): Queryable {
  return {
    query: async (statement, values = []) => (await measured(db, options, statement, values)).rows,
    execute: async (statement, values = []) => (await measured(db, options, statement, values)).rowCount,
  };
}

/** A statement on its own is a transaction of its own: what the database rolled back in a deadlock can be run again. */
function again(alone: Queryable, options: DatabaseOptions): Queryable {
  const retried = <T>(attempt: () => Promise<T>): Promise<T> =>
    retryTransaction(attempt, { ports: options.ports, maxAttempts, onRetry: onRetry(options) });
  return {
    query: (statement, values) => retried(() => alone.query(statement, values)),
    execute: (statement, values) => retried(() => alone.execute(statement, values)),
  };
}

async function measured<Row extends object>(
  db: Knex | Knex.Transaction,
  { metrics, ports }: DatabaseOptions,
  statement: Statement<Row>,
  values: readonly unknown[],
  isGivenUp?: () => boolean,
): Promise<{ rows: Row[]; rowCount: number }> {
  const startedMs = ports.clock.monotonic();
  const elapsedMs = (): number => ports.clock.monotonic() - startedMs;
  try {
    const result = await runStatement(db, statement, values, isGivenUp);
    metrics?.statementFinished(statement.name, elapsedMs(), "ok");
    return result;
  } catch (error) {
    metrics?.statementFinished(statement.name, elapsedMs(), classifyError(error).kind);
    throw error;
  }
}

function runTransaction<T>(
  db: Knex,
  options: DatabaseOptions,
  watch: SilenceWatch,
  fn: (tx: PooledTransaction) => Promise<T>,
  { isolation, readOnly, maxAttempts: wanted = maxAttempts }: TransactionOptions,
): Promise<T> {
  const settings = {
    ...(isolation !== undefined && { isolationLevel: isolation }),
    ...(readOnly !== undefined && { readOnly }),
  };
  const attempt = (): Promise<T> =>
    watch.guard((isGivenUp) =>
      db.transaction((trx) => {
        if (isGivenUp()) throw givenUpError("a transaction");
        return fn({ knex: trx, ...queryable(trx, options) });
      }, settings),
    );
  return retryTransaction(attempt, {
    ports: options.ports,
    maxAttempts: wanted,
    onRetry: onRetry(options),
  });
}

function onRetry({ metrics, logger }: DatabaseOptions): (error: unknown, attemptsMade: number) => void {
  return (error, attemptsMade) => {
    metrics?.transactionRetried();
    logger.debug({ err: error, attempts_made: attemptsMade }, "transaction runs again");
  };
}
