// Everything that services know of PostgreSQL: where it is, how to talk to it, how its schema came to be.

export {
  classifyError,
  type DatabaseErrorClass,
  type DatabaseErrorKind,
  isAboutDatabase,
  isAboutValues,
  isRefusal,
  isSchemaMismatch,
} from "./classify-error.ts";
export { type ConnectionTarget, describeTarget } from "./connection.ts";
export {
  createDatabase,
  type Database,
  type DatabaseMetrics,
  type DatabaseOptions,
  type PooledDatabase,
  type PoolStats,
  type Queryable,
  type Transaction,
  type TransactionOptions,
} from "./pool.ts";
export { confirmPrimary, confirmPrimarySql } from "./confirm-primary.ts";
export { retryTransaction } from "./transaction-retry.ts";
export { customTypes } from "./value-types.ts";
export { postgresAt, type PostgresServer, type PrepareOptions } from "./server.ts";
export { definedStatements, defineStatement, type Statement } from "./statement.ts";
export { type WaitForDatabaseOptions, DatabaseAwayError, mayHeal, waitForDatabase } from "./wait.ts";
export {
  DatabaseRightsError,
  migrate,
  type MigrateOptions,
  type MigrateResult,
  type Migration,
  SchemaTooNewError,
} from "./migrations.ts";
export { createListener, type Listener, type ListenerOptions } from "./listen.ts";
export { createNotifier, type Notification, type Notifier, type NotifierOptions, readNotification } from "./notify.ts";
export {
  BinariesMissingError,
  DataDirInUseError,
  DataDirUnusableError,
  EmbeddedPostgresError,
  InitFailedError,
} from "./embedded/errors.ts";
export { type EmbeddedOptions, type EmbeddedPostgres, startEmbedded } from "./embedded/supervisor.ts";
