import { errorCode, jitter, type Logger, type Ports, sleep } from "@headroom/runtime";
import { classifyError } from "./classify-error.ts";
import type { ConnectionTarget } from "./connection.ts";
import { createListener, type Listener, type ListenerOptions } from "./listen.ts";
import { MigrationLockError } from "./migration-lock.ts";
import { migrate, type Migration } from "./migrations.ts";
import { createDatabase, type Database, type DatabaseOptions } from "./pool.ts";
import { mayHeal, waitForDatabase } from "./wait.ts";

export interface PrepareOptions {
  readonly schema: string;
  readonly migrations: readonly Migration[];
  readonly applicationName: string;
  readonly logger: Logger;
  readonly ports: Ports;
  /** Gives up when it aborts, with its reason. */
  readonly signal: AbortSignal;
  /** How long another process may migrate the schema until the log says that this one waits for it. Default 30 s. */
  readonly lockWaitMs?: number;
  /** From one try for a table that is in use to the next. Default 15 s. */
  readonly betweenLockTriesMs?: number;
}

/** One PostgreSQL as a service reaches it: a port; a simulation gives one that lives by its own clock. */
export interface PostgresServer {
  /** A pool on one schema. */
  database(options: Omit<DatabaseOptions, "connection">): Database;
  listener(options: Omit<ListenerOptions, "connection">): Listener;
  /** Resolves when the server answers and the schema is ours; tries until the signal aborts, and says each time what is missing. */
  prepare(options: PrepareOptions): Promise<void>;
}

const betweenTriesMs = 500;
/** A try may keep the service's other processes waiting for 2 s: many times as long in between. */
const betweenTriesForLocksMs = 15_000;
const defaultLockWaitMs = 30_000;

/** The PostgreSQL at an address. */
export function postgresAt(connection: ConnectionTarget): PostgresServer {
  return {
    database: (options) => createDatabase({ ...options, connection }),
    listener: (options) => createListener({ ...options, connection }),
    async prepare(options) {
      for (;;) {
        await waitForDatabase({ ...options, connection });
        try {
          await migrate({ lockWaitMs: defaultLockWaitMs, ...options, connection });
          return;
        } catch (error) {
          const wait = waitFor(error, options.betweenLockTriesMs);
          if (wait === null) throw error;
          options.logger.warn({ err: error, schema: options.schema }, wait.why);
          await sleep(options.ports.timers, jitter(options.ports.random, wait.forMs, 0.2), options.signal);
        }
      }
    },
  };
}

/** Before the schema is brought up to date once more; null: waiting would not help. */
function waitFor(
  error: unknown,
  betweenLockTriesMs = betweenTriesForLocksMs,
): { readonly why: string; readonly forMs: number } | null {
  if (error instanceof MigrationLockError) {
    return { why: `waiting for the database's schema: ${error.message}`, forMs: betweenTriesMs };
  }
  // It went away again between the two, or cannot write now.
  if (mayHeal(error)) {
    return {
      why: "the database went away while its schema was brought up to date; waiting for it again",
      forMs: betweenTriesMs,
    };
  }
  const { kind } = classifyError(error);
  const isInTheWay = kind === "serialization" || errorCode(error) === lockNotToBeHad;
  return isInTheWay
    ? {
        why: "the database's schema is in use by others and could not be brought up to date; trying again",
        forMs: betweenLockTriesMs,
      }
    : null;
}

/** SQLSTATE of a lock that could not be had within lock_timeout. */
const lockNotToBeHad = "55P03";
