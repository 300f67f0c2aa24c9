/** Opens the store on PostgreSQL: waits for the database, brings the schema up to date, listens. */
import {
  createNotifier,
  type DatabaseMetrics,
  type Listener,
  type Notifier,
  type PostgresServer,
} from "@headroom/postgres";
import type { Logger, Metrics, Ports } from "@headroom/runtime";
import { createPostgresStore } from "./postgres/postgres-store.ts";
import { REGISTRY_SCHEMA, registryMigrations } from "./postgres/migrations.ts";
import type { RegistryStore } from "./registry-store.ts";

export interface OpenStoreOptions {
  readonly postgres: PostgresServer;
  readonly maxConnections: number;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly metrics?: Metrics;
  /** Notifications may have been missed. */
  readonly onReconnect: () => void;
}

export interface PostgresStore {
  readonly store: RegistryStore;
  readonly notifier: Notifier;
  readonly listener: Listener;
  /** Resolves when the database answers and its schema is ours; tries until the signal aborts, and says each time what is missing. */
  prepare(signal: AbortSignal): Promise<void>;
}

const APPLICATION_NAME = "headroom-registry";

export function openPostgresStore(options: OpenStoreOptions): PostgresStore {
  const { postgres, maxConnections, ports, logger, metrics } = options;
  const database = postgres.database({
    schema: REGISTRY_SCHEMA,
    applicationName: APPLICATION_NAME,
    logger,
    ports,
    max: maxConnections,
    ...(metrics !== undefined && { metrics: databaseMetrics(metrics) }),
  });
  return {
    store: createPostgresStore(database),
    notifier: createNotifier({ database, logger, ports }),
    listener: postgres.listener({
      logger,
      ports,
      applicationName: `${APPLICATION_NAME}-listener`,
      onReconnect: options.onReconnect,
    }),
    prepare: (signal) =>
      postgres.prepare({
        schema: REGISTRY_SCHEMA,
        migrations: registryMigrations,
        applicationName: APPLICATION_NAME,
        logger,
        ports,
        signal,
      }),
  };
}

function databaseMetrics(metrics: Metrics): DatabaseMetrics {
  const durations = metrics.histogram("db_statement_duration_seconds", "Database statements", ["statement", "outcome"]);
  const retries = metrics.counter("db_transaction_retries_total", "Transactions that the database asked to run again");
  return {
    statementFinished: (statement, durationMs, outcome) =>
      durations.observe({ statement, outcome }, durationMs / 1_000),
    transactionRetried: () => retries.inc(),
  };
}
