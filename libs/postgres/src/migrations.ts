import type { Knex } from "knex";
import type { Logger, Ports } from "@headroom/runtime";
import type { ConnectionTarget } from "./connection.ts";
import { type MigrationLock, takeMigrationLock } from "./migration-lock.ts";
import { clientSource, createKnexPool } from "./knex-pool.ts";
import { quoteIdentifier } from "./session.ts";
import { errorCode } from "@headroom/runtime";

/**
 * One step of a schema. Steps are only ever added at the end. Replicas of the old and the new version run side by
 * side during an update, so a release expands (adds, nullable or with a default) and a later one contracts
 * (removes what no running version reads). A step that only expands says from where on older programs can use the schema
 * after it: one of these that restarts in the middle of an update then goes on, instead of refusing a schema it does not know.
 */
export interface Migration {
  /** Like `0001_agents`; the names sort in the order they run in. */
  readonly name: string;
  /**
   * The SQL (a string may hold several statements), or a function on knex. With `transaction: false` each string is
   * one statement, so that `CREATE INDEX CONCURRENTLY` works.
   */
  readonly up: string | readonly string[] | ((db: Knex) => PromiseLike<unknown>);
  /**
   * false: runs outside a transaction. It may be cut off half way and run again, so write it to be repeatable
   * (`DROP INDEX CONCURRENTLY IF EXISTS` before `CREATE INDEX CONCURRENTLY`: an interrupted one stays behind, invalid).
   */
  readonly transaction?: boolean;
  /**
   * Programs whose newest migration is this one or a later one work on the schema after this step, too; so an expansion names
   * the migration before it. Absent: older programs are turned away, as a contraction must.
   */
  readonly usableFrom?: string;
}

export interface MigrateOptions {
  readonly connection: ConnectionTarget;
  /** Created if it does not exist; the table of finished migrations lies in it. */
  readonly schema: string;
  readonly migrations: readonly Migration[];
  readonly logger: Logger;
  readonly ports: Ports;
  /** How long to wait for another replica that migrates. Default 10 min. */
  readonly lockWaitMs?: number;
  readonly signal?: AbortSignal;
}

export interface MigrateResult {
  /** Names of the migrations that this call ran; empty if all had run before. */
  readonly applied: readonly string[];
}

/** The schema has migrations that this program does not know: it belongs to a newer version. */
export class SchemaTooNewError extends Error {
  override readonly name = "SchemaTooNewError";
  readonly unknownMigrations: readonly string[];
  constructor(schema: string, unknownMigrations: readonly string[]) {
    super(
      `schema "${schema}" was made by a newer Headroom (unknown migrations: ${unknownMigrations.join(", ")}): ` +
        `run that version or a newer one, or point DATABASE_URL at another database`,
    );
    this.unknownMigrations = unknownMigrations;
  }
}

/** The database role may not do what a schema needs done. The message says which right it lacks, and how to give it. */
export class DatabaseRightsError extends Error {
  override readonly name = "DatabaseRightsError";
}

const tableName = "migrations";
/** For each migration that older programs can live with: the oldest of them, by its newest migration. */
const marksTable = "migrations_usable";
/** Of a table that is in use: all that comes after us waits as long, so it is better tried again later. */
const lockTimeoutMs = 2_000;
/** Outside a transaction (CREATE INDEX CONCURRENTLY) nobody waits for us, while we wait for every transaction that is open. */
const patientLockTimeoutMs = 600_000;
const namePattern = /^\d{4}_[a-z0-9_]+$/;

/**
 * Brings a schema up to date. Any number of replicas may call it at once: one migrates, the others wait and find it done.
 * Throws SchemaTooNewError, MigrationLockError, DatabaseRightsError, or the database's error; a migration that failed left nothing
 * behind (unless it runs outside a transaction).
 */
export async function migrate(options: MigrateOptions): Promise<MigrateResult> {
  checkNames(options.migrations);
  const db = createKnexPool({
    connection: options.connection,
    schema: options.schema,
    applicationName: `headroom-migrate-${options.schema}`,
    logger: options.logger,
    // The lock belongs to the session, so all is done by the same one.
    max: 1,
    connectTimeoutMs: 5_000,
    acquireTimeoutMs: 10_000,
    // Building an index may take long; waiting for a lock must not: whoever queues behind us waits as well.
    limits: { statementTimeoutMs: 0, lockTimeoutMs, idleInTransactionTimeoutMs: 0 },
  });
  try {
    return await migrateLocked(db, options, await takeMigrationLock(db, options));
  } catch (error) {
    throw lacksRight(error) ? await rightsError(db, options.schema, error).catch(() => error) : error;
  } finally {
    await db.destroy();
  }
}

async function migrateLocked(db: Knex, options: MigrateOptions, lock: MigrationLock): Promise<MigrateResult> {
  const { schema, migrations, logger } = options;
  await createSchema(db, schema);
  const done = await finishedMigrations(db, schema);
  const known = new Set(migrations.map((migration) => migration.name));
  const unknown = done.filter((name) => !known.has(name));
  if (unknown.length > 0) return useNewerSchema(db, options, done, unknown);

  const config: Knex.MigratorConfig = { tableName, schemaName: schema, migrationSource: sourceOf(migrations, lock) };
  const pending = migrations.filter((migration) => !done.includes(migration.name));
  if (pending.length === 0) {
    await writeMarks(db, options);
    return { applied: [] };
  }
  // We hold the advisory lock, so a lock in knex's table is what a killed process left behind.
  await lock.check(db);
  await db.migrate.forceFreeMigrationsLock(config);
  logger.info({ schema, pending: pending.map((migration) => migration.name) }, "migrating the database schema");
  await db.migrate.latest(config);
  await writeMarks(db, options);
  return { applied: pending.map((migration) => migration.name) };
}

/** IF NOT EXISTS asks for the right before it looks: a role that was given a schema of its own need not be able to make one. */
async function createSchema(db: Knex, schema: string): Promise<void> {
  if (await hasSchema(db, schema)) return;
  await db.raw(`CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(schema)}`);
}

async function hasSchema(db: Knex, schema: string): Promise<boolean> {
  const { rows } = await db.raw<{ readonly rows: readonly unknown[] }>(
    "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = :schema",
    { schema },
  );
  return rows.length > 0;
}

/** SQLSTATE 42501, also of a table that belongs to another role. */
function lacksRight(error: unknown): error is Error {
  return errorCode(error) === "42501";
}

async function rightsError(db: Knex, schema: string, cause: Error): Promise<DatabaseRightsError> {
  const { rows } = await db.raw<{ readonly rows: readonly { readonly role: string; readonly database: string }[] }>(
    "SELECT current_user AS role, current_database() AS database",
  );
  const { role = "", database = "" } = rows[0] ?? {};
  const [asRole, inDatabase, name] = [role, database, schema].map(quoteIdentifier);
  const message = (await hasSchema(db, schema))
    ? `the role ${asRole} of DATABASE_URL lacks a right on the schema ${name} in the database ${inDatabase} (${messageOf(cause)}): ` +
      `it must own the schema and all tables in it: run ALTER SCHEMA ${name} OWNER TO ${asRole}, and ALTER TABLE ... OWNER TO ${asRole} for each table`
    : `the role ${asRole} of DATABASE_URL may not create the schema ${name} in the database ${inDatabase}: ` +
      `as the owner of the database run GRANT CREATE ON DATABASE ${inDatabase} TO ${asRole}, or CREATE SCHEMA ${name} AUTHORIZATION ${asRole}`;
  return new DatabaseRightsError(message, { cause });
}

/** What the server said, without the statement that knex writes before it. */
function messageOf({ message }: Error): string {
  return message.replace(/^[^]* - /, "");
}

/** Runs nothing: what this program knows has run, and what it does not know leaves it room to work. Else SchemaTooNewError. */
async function useNewerSchema(
  db: Knex,
  { schema, migrations, logger }: MigrateOptions,
  done: readonly string[],
  unknown: readonly string[],
): Promise<MigrateResult> {
  const newest = migrations.at(-1)?.name ?? "";
  const marks = await readMarks(db, schema);
  const isUsable = (name: string): boolean => (marks.get(name) ?? "9") <= newest;
  const hasAll = migrations.every(({ name }) => done.includes(name));
  if (!hasAll || !unknown.every(isUsable)) throw new SchemaTooNewError(schema, unknown);
  logger.warn(
    { schema, newer_migrations: unknown },
    "the database schema was made by a newer version, and this version can still use it: finish the update soon",
  );
  return { applied: [] };
}

/** Written after the migrations: whoever dies in between leaves a schema that turns older programs away, and the next start mends it. */
async function writeMarks(db: Knex, { schema, migrations }: MigrateOptions): Promise<void> {
  const marks = migrations.flatMap(({ name, usableFrom }) =>
    usableFrom === undefined ? [] : [{ name, usable_from: usableFrom }],
  );
  if (marks.length === 0) return;
  if (!(await db.schema.withSchema(schema).hasTable(marksTable))) {
    await db.schema.withSchema(schema).createTable(marksTable, (table) => {
      table.text("name").primary();
      table.text("usable_from").notNullable();
    });
  }
  await db.withSchema(schema).table(marksTable).insert(marks).onConflict("name").ignore();
}

async function readMarks(db: Knex, schema: string): Promise<ReadonlyMap<string, string>> {
  if (!(await db.schema.withSchema(schema).hasTable(marksTable))) return new Map();
  const rows = await db
    .withSchema(schema)
    .from<{ name: string; usable_from: string }>(marksTable)
    .select("name", "usable_from");
  return new Map(rows.map((row) => [row.name, row.usable_from]));
}

async function finishedMigrations(db: Knex, schema: string): Promise<string[]> {
  if (!(await db.schema.withSchema(schema).hasTable(tableName))) return [];
  const rows = await db.withSchema(schema).from<{ name: string }>(tableName).select("name").orderBy("id");
  return rows.map((row) => row.name);
}

/** Migrations in the program itself: it is bundled into one file, so there is no folder to read. */
function sourceOf(migrations: readonly Migration[], lock: MigrationLock): Knex.MigrationSource<Migration> {
  return {
    getMigrations: () => Promise.resolve([...migrations]),
    getMigrationName: (migration) => migration.name,
    getMigration: (migration) =>
      Promise.resolve({
        up: async (db: Knex) => {
          await lock.check(db);
          if (migration.transaction !== false) return runUp(db, migration);
          await setLockTimeout(db, patientLockTimeoutMs);
          await runUp(db, migration);
          await setLockTimeout(db, lockTimeoutMs);
        },
        // knex insists on one. Going back is a new migration: replicas of both versions may be running.
        down: () => Promise.reject(new Error(`migration ${migration.name} is not undone; add one that mends it`)),
        config: { transaction: migration.transaction !== false },
      }),
  };
}

async function setLockTimeout(db: Knex, ms: number): Promise<void> {
  await db.raw(`SET lock_timeout = ${ms}`);
}

async function runUp(db: Knex, migration: Migration): Promise<void> {
  if (typeof migration.up === "function") {
    await migration.up(db);
    return;
  }
  // Straight to pg: knex.raw would take every "?" (a jsonb operator, a comment) for a parameter.
  const source = clientSource(db);
  const client = await source.acquireConnection();
  try {
    for (const sql of typeof migration.up === "string" ? [migration.up] : migration.up) await client.query(sql);
  } finally {
    await source.releaseConnection(client);
  }
}

function checkNames(migrations: readonly Migration[]): void {
  let previous = "";
  for (const { name, usableFrom } of migrations) {
    if (!namePattern.test(name)) throw new Error(`migration "${name}" must be named like 0001_agents`);
    if (name <= previous) throw new Error(`migration "${name}" must sort after "${previous}"`);
    if (usableFrom !== undefined && usableFrom >= name) {
      throw new Error(`migration "${name}": usableFrom must name an earlier migration`);
    }
    previous = name;
  }
}
