import { randomBytes } from "node:crypto";
import pg from "pg";

/** The server all tests share; set by the suite's global setup, or from outside to test against another server. */
const serverUrlVariable = "TEST_DATABASE_URL";

/** A fresh, empty database. Usable as a ConnectionTarget. */
export interface TestDatabase {
  readonly connectionString: string;
  readonly name: string;
  /** Runs plain SQL as superuser (or whoever TEST_DATABASE_URL names) on a connection of its own; returns the rows. */
  sql<Row extends object = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Ends all sessions but does not wait for their owners to notice, as a failover would. */
  terminateSessions(): Promise<void>;
  /** Ends all sessions and removes the database. Idempotent. */
  drop(): Promise<void>;
}

/** Creates a database on the shared server: one per test file, in `beforeAll`, with `drop()` in `afterAll`. */
export async function createTestDatabase(options: { readonly label: string }): Promise<TestDatabase> {
  const server = process.env[serverUrlVariable];
  if (server === undefined || server === "") {
    throw new Error(`${serverUrlVariable} is not set: run tests with vitest, whose global setup starts a PostgreSQL`);
  }
  const label = options.label
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "_")
    .slice(0, 30);
  const name = `headroom_test_${label}_${randomBytes(5).toString("hex")}`;
  await runOnce(server, `CREATE DATABASE ${name}`);
  const connectionString = withDatabase(server, name);
  let dropped: Promise<void> | undefined;
  return {
    connectionString,
    name,
    // The caller names the columns and so the row type, as with any SQL.
    sql: async <Row extends object>(text: string, values: readonly unknown[] = []) =>
      (await runOnce(connectionString, text, values)) as Row[],
    async terminateSessions() {
      await runOnce(server, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, [name]);
    },
    drop() {
      dropped ??= runOnce(server, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`).then(() => undefined);
      return dropped;
    },
  };
}

async function runOnce(url: string, text: string, values: readonly unknown[] = []): Promise<object[]> {
  const client = new pg.Client({
    connectionString: url,
    application_name: "headroom-testing",
    connectionTimeoutMillis: 20_000,
  });
  client.on("error", () => undefined);
  await client.connect();
  try {
    const result = await client.query<Record<string, unknown>>(text, [...values]);
    return result.rows;
  } finally {
    await client.end().catch(() => undefined);
  }
}

function withDatabase(serverUrl: string, name: string): string {
  // Not with URL: it refuses the user without a host that a Unix socket's URL may have.
  return serverUrl.replace(/^([a-z]+:\/\/[^/]*\/)[^?]*/, `$1${name}`);
}
