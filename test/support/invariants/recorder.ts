import type { RunSql } from "../run-sql.ts";

/** One trigger of the test's own: what is written down of a table, and when. */
interface Recorded {
  readonly table: string;
  readonly row: string;
  /** Columns, or expressions over `r`, that are written down; a change of none of them is no change. */
  readonly columns: Readonly<Record<string, string>>;
  /** What is only ever added to is written down when it is not: its rows are read at the end. */
  readonly isLog?: boolean;
}

const ms = (column: string): string => `extract(epoch FROM r.${column}) * 1000`;
const plain = (...columns: readonly string[]): Record<string, string> =>
  Object.fromEntries(columns.map((column) => [column, `r.${column}`]));

const orchestratorTables: readonly Recorded[] = [
  { table: "orchestrator.tasks", row: "task", columns: plain("task_id", "state", "fence", "placing_attempt_id") },
  { table: "orchestrator.attempts", row: "attempt", columns: plain("attempt_id", "task_id", "state", "fence") },
  {
    table: "orchestrator.pause_queue",
    row: "pause",
    columns: {
      ...plain("pause_queue_id", "task_id", "status", "blocked"),
      paused_ms: ms("paused_at"),
      resume_after_ms: ms("resume_after"),
    },
  },
  { table: "orchestrator.queue_hold", row: "queue", columns: plain("is_held") },
  { table: "orchestrator.events", row: "event", columns: plain("event_id", "plan_id"), isLog: true },
];

const registryTables: readonly Recorded[] = [
  {
    table: "registry.reservations",
    row: "reservation",
    columns: {
      ...plain("attempt_id", "agent_id", "state", "fence", "cpu_millicores", "memory_mib", "cards"),
      lease_expires_ms: ms("lease_expires_at"),
    },
  },
  {
    table: "registry.agent_liveness",
    row: "liveness",
    columns: {
      ...plain("agent_id", "status", "attached", "owner_hold"),
      on_probation: "r.probation_until IS NOT NULL",
    },
  },
  { table: "registry.agents", row: "agent", columns: plain("agent_id", "cordoned", "draining") },
];

/**
 * Writes down, within each transaction of the services, what it does to the rows that invariants speak of. It is a recorder of the
 * test's own: the services know nothing of it, and a transaction that is rolled back leaves nothing in it. Numbers are drawn at the
 * end of each statement, so that of rows that are changed under one lock they stand in the order of the commits.
 */
export async function installRecorder(sql: RunSql): Promise<void> {
  await sql(`CREATE SCHEMA IF NOT EXISTS recorder`);
  await sql(`
    CREATE TABLE IF NOT EXISTS recorder.changes (
      seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      commit xid8 NOT NULL DEFAULT pg_current_xact_id(),
      at timestamptz NOT NULL DEFAULT clock_timestamp(),
      what text NOT NULL,
      gone boolean NOT NULL,
      data jsonb NOT NULL)`);
  for (const recorded of [...orchestratorTables, ...registryTables]) await record(sql, recorded);
}

async function record(sql: RunSql, { table, row, columns, isLog = false }: Recorded): Promise<void> {
  const values = (of: string): string =>
    `jsonb_build_object(${Object.entries(columns)
      .map(([name, expression]) => `'${name}', ${expression.replaceAll(/\br\./g, `${of}.`)}`)
      .join(", ")})`;
  await sql(`
    CREATE OR REPLACE FUNCTION recorder.record_${row}() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'DELETE' THEN
        INSERT INTO recorder.changes (what, gone, data) VALUES ('${row}', true, ${values("OLD")});
      ELSIF ${isLog} OR TG_OP = 'INSERT' OR ${values("NEW")} <> ${values("OLD")} THEN
        INSERT INTO recorder.changes (what, gone, data) VALUES ('${row}', false, ${values("NEW")});
      END IF;
      RETURN NULL;
    END $$`);
  await sql(`
    CREATE OR REPLACE TRIGGER recorder AFTER ${isLog ? "" : "INSERT OR "}UPDATE OR DELETE ON ${table}
    FOR EACH ROW EXECUTE FUNCTION recorder.record_${row}()`);
  if (isLog) return;
  // What is there already.
  await sql(`INSERT INTO recorder.changes (what, gone, data) SELECT '${row}', false, ${values("r")} FROM ${table} r`);
}
