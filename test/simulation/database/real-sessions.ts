import { orchestratorMigrations, orchestratorSchema } from "@headroom/orchestrator";
import { customTypes, migrate, type Statement } from "@headroom/postgres";
import { REGISTRY_SCHEMA, registryMigrations } from "@headroom/registry";
import { silentLogger, systemPorts } from "@headroom/runtime";
import pg from "pg";
import type { RunSql } from "../../support/run-sql.ts";
import { installRecorder } from "../../support/invariants/recorder.ts";
import { type PreparedFields, prepareTime, runTimed } from "./timed-query.ts";
import { columnDefaultsSql, simSchemaSql, simSearchPath } from "./sim-clock-sql.ts";

/** A statement's answer. */
export interface Answer {
  readonly rows: readonly Record<string, unknown>[];
  readonly rowCount: number;
}

/** One connection to the real PostgreSQL, fixed to one schema and to the simulation's clock. */
export interface RealSession {
  /** `transactionMs`, `statementMs`: what `now()` and `clock_timestamp()` are, epoch milliseconds. */
  run<Row extends object>(
    statement: Statement<Row>,
    values: readonly unknown[],
    transactionMs: number,
    statementMs: number,
  ): Promise<Answer>;
  command(sql: string): Promise<void>;
}

/** The real PostgreSQL behind simulated worlds, one world after the other. */
export interface RealSessions {
  readonly sessions: ReadonlyMap<string, RealSession>;
  /** Empties everything for the next world. */
  reset(seed: number): Promise<void>;
  /** Takes out what was notified and committed since the last time. */
  takeNotifications(): Promise<readonly { readonly channel: string; readonly payload: string }[]>;
  /** The server's processes that serve these sessions. */
  readonly pids: readonly number[];
  /** For checkers; sees what is committed. */
  readonly sql: RunSql;
  close(): Promise<void>;
}

/** Prepares an empty database, whose server has autovacuum off: what it learned by the way would make runs differ. */
export async function openRealSessions(connectionString: string): Promise<RealSessions> {
  const ports = systemPorts;
  for (const [schema, migrations] of [
    [REGISTRY_SCHEMA, registryMigrations],
    [orchestratorSchema, orchestratorMigrations],
  ] as const) {
    await migrate({ connection: connectionString, schema, migrations, logger: silentLogger, ports });
  }
  const checker = await connect(connectionString, "public");
  for (const text of simSchemaSql) await checker.query(text);
  const altered = await checker.query<{ alter: string }>(columnDefaultsSql);
  for (const { alter } of altered.rows) await checker.query(alter);
  const plain = await connectPlainly(connectionString);
  const sql: RunSql = async <Row extends object>(text: string, values: readonly unknown[] = []) =>
    // The caller names the columns and so the row type.
    (await plain.query<Record<string, unknown>>(text, [...values])).rows as Row[];
  await installRecorder(
    async <Row extends object>(text: string, values: readonly unknown[] = []) =>
      (await checker.query<Record<string, unknown>>(text, [...values])).rows as Row[],
  );
  const clients = [checker, plain];
  const sessions = new Map<string, RealSession>();
  const sessionClients: pg.Client[] = [];
  for (const schema of [REGISTRY_SCHEMA, orchestratorSchema]) {
    const client = await connect(connectionString, schema);
    clients.push(client);
    sessionClients.push(client);
    sessions.set(schema, sessionOf(client));
  }
  const tables = await checker.query<{ names: string }>(
    `SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') AS names FROM pg_tables
      WHERE schemaname IN ('registry', 'orchestrator', 'recorder', 'sim') AND tablename NOT LIKE 'migrations%'`,
  );
  const names = tables.rows[0]!.names;
  const pids: number[] = [];
  for (const client of clients) {
    const { rows } = await client.query<{ pid: number }>(`SELECT pg_backend_pid() AS pid`);
    pids.push(...rows.map(({ pid }) => pid));
  }
  return {
    sessions,
    pids,
    sql,
    async reset(seed) {
      // The world before may have ended in the middle of a transaction.
      for (const client of sessionClients) await client.query("ROLLBACK");
      await checker.query(`TRUNCATE ${names} RESTART IDENTITY CASCADE`);
      await checker.query(`ALTER SEQUENCE sim.uuids RESTART`);
      for (const client of clients) await client.query(`SELECT set_config('sim.seed', $1, false)`, [String(seed)]);
    },
    async takeNotifications() {
      const { rows } = await checker.query<{ seq: number; channel: string; payload: string }>(
        `DELETE FROM sim.notifications RETURNING seq, channel, payload`,
      );
      return rows.toSorted((one, other) => one.seq - other.seq);
    },
    async close() {
      for (const client of clients) await client.end();
    },
  };
}

async function connect(connectionString: string, schema: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, application_name: "headroom-simulation", types: customTypes });
  // Without a listener a connection that breaks ends the process; the query that waits rejects anyway.
  client.on("error", () => undefined);
  await client.connect();
  await client.query(
    `SELECT set_config('search_path', $1, false), set_config('timezone', 'UTC', false), set_config('jit', 'off', false),
            set_config('plan_cache_mode', 'force_generic_plan', false),
            set_config('sim.transaction_s', '0', false), set_config('sim.statement_s', '0', false)`,
    [simSearchPath(schema)],
  );
  await prepareTime(client);
  return client;
}

/** As tests read: PostgreSQL's own types and clock. */
async function connectPlainly(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, application_name: "headroom-simulation-checker" });
  client.on("error", () => undefined);
  await client.connect();
  return client;
}

function sessionOf(client: pg.Client): RealSession {
  const prepared: PreparedFields = new Map();
  return {
    run: (statement, values, transactionMs, statementMs) =>
      runTimed(client, prepared, statement, values, transactionMs, statementMs),
    async command(sql) {
      await client.query(sql);
    },
  };
}
