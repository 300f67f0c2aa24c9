/** Opens the store on PostgreSQL: waits for the database, brings the schema up to date, listens. */
import {
  createNotifier,
  type DatabaseMetrics,
  type Listener,
  type Notifier,
  type PostgresServer,
} from "@headroom/postgres";
import type { Logger, Metrics, Ports } from "@headroom/runtime";
import type { DatabaseWatch } from "./database-watch.ts";
import type { OrchestratorStore } from "./port.ts";
import { orchestratorMigrations } from "./postgres/migrations/index.ts";
import { createPostgresStore } from "./postgres/store.ts";

export const orchestratorSchema = "orchestrator";
const applicationName = "headroom-orchestrator";
/** Far below what a person notices, and longer than a short task takes from its acceptance to its end. */
const holdReportsMs = 200;

export interface OpenStoreOptions {
  readonly postgres: PostgresServer;
  readonly maxConnections: number;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly watch: Pick<DatabaseWatch, "answered">;
  /** Notifications may have been missed. */
  readonly onReconnect: () => void;
}

export interface OpenedStore {
  readonly store: OrchestratorStore;
  readonly notifier: Notifier;
  /** Null: no notifications, only looking. */
  readonly listener: Listener | null;
  /** Resolves when the database answers and its schema is ours; tries until the signal aborts, and says each time what is missing. */
  prepare(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export function openPostgresStore(options: OpenStoreOptions): OpenedStore {
  const { postgres, ports, logger, metrics, watch } = options;
  const database = postgres.database({
    schema: orchestratorSchema,
    applicationName,
    logger,
    ports,
    max: options.maxConnections,
    metrics: databaseMetrics(metrics, watch),
  });
  const notifier = createNotifier({ database, logger, ports });
  const listener = postgres.listener({
    logger,
    ports,
    applicationName: `${applicationName}-listener`,
    onReconnect: options.onReconnect,
  });
  return {
    store: createPostgresStore(database, { hold: { timers: ports.timers, atMostMs: holdReportsMs } }),
    notifier,
    listener,
    prepare: (signal) =>
      postgres.prepare({
        schema: orchestratorSchema,
        migrations: orchestratorMigrations,
        applicationName,
        logger,
        ports,
        signal,
      }),
    close: () => database.close(),
  };
}

function databaseMetrics(metrics: Metrics, watch: Pick<DatabaseWatch, "answered">): DatabaseMetrics {
  const durations = metrics.histogram("db_statement_duration_seconds", "Database statements", ["statement", "outcome"]);
  const retries = metrics.counter("db_transaction_retries_total", "Transactions that the database asked to run again");
  return {
    statementFinished(statement, durationMs, outcome) {
      durations.observe({ statement, outcome }, durationMs / 1_000);
      if (outcome === "ok") watch.answered();
    },
    transactionRetried: () => retries.inc(),
  };
}
