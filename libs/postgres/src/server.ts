import { jitter, type Logger, type Ports, sleep } from "@headroom/runtime";
import type { ConnectionTarget } from "./connection.ts";
import { createListener, type Listener, type ListenerOptions } from "./listen.ts";
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

/** The PostgreSQL at an address. */
export function postgresAt(connection: ConnectionTarget): PostgresServer {
  return {
    database: (options) => createDatabase({ ...options, connection }),
    listener: (options) => createListener({ ...options, connection }),
    async prepare(options) {
      for (;;) {
        await waitForDatabase({ ...options, connection });
        try {
          await migrate({ ...options, connection });
          return;
        } catch (error) {
          // It went away again between the two, or cannot write now.
          if (!mayHeal(error)) throw error;
          options.logger.warn(
            { err: error },
            "the database went away while its schema was brought up to date; waiting for it again",
          );
          await sleep(options.ports.timers, jitter(options.ports.random, betweenTriesMs, 0.2), options.signal);
        }
      }
    },
  };
}
