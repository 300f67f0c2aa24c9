/** The least that a durable queue on PostgreSQL can be: claims and completions in batches, plans as plain INSERTs. No service. */
import { createDatabase, type PooledDatabase, defineStatement } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { randomUUID } from "node:crypto";
import { serveCommands } from "../support/child-side.ts";

const claim = defineStatement<{ readonly id: number; readonly fence: number }>({
  name: "bench_claim",
  text: `
WITH c AS MATERIALIZED (
  SELECT id FROM bench_queue.jobs WHERE state = 'waiting' ORDER BY priority DESC, id LIMIT 50 FOR UPDATE SKIP LOCKED)
UPDATE bench_queue.jobs j SET state = 'leased', fence = j.fence + 1, lease_until = now() + interval '30 seconds'
  FROM c WHERE j.id = c.id
RETURNING j.id, j.fence`,
});

const complete = defineStatement({
  name: "bench_complete",
  text: `
UPDATE bench_queue.jobs j SET state = 'done', done_at = now()
  FROM unnest($1::bigint[], $2::bigint[]) AS d(id, fence)
 WHERE j.id = d.id AND j.fence = d.fence`,
});

const insertPlan = defineStatement({
  name: "bench_insert_plan",
  text: `INSERT INTO bench_queue.plans SELECT * FROM jsonb_populate_recordset(NULL::bench_queue.plans, $1::jsonb)`,
});
const insertTasks = defineStatement({
  name: "bench_insert_tasks",
  text: `INSERT INTO bench_queue.tasks SELECT * FROM jsonb_populate_recordset(NULL::bench_queue.tasks, $1::jsonb)`,
});
const insertPauses = defineStatement({
  name: "bench_insert_pauses",
  text: `INSERT INTO bench_queue.pause_queue SELECT * FROM jsonb_populate_recordset(NULL::bench_queue.pause_queue, $1::jsonb)`,
});
const insertEvents = defineStatement({
  name: "bench_insert_events",
  text: `
INSERT INTO bench_queue.events (plan_id, task_id, task_name, kind, from_state, to_state, pause_reason, sentence, actor)
SELECT plan_id, task_id, task_name, kind, from_state, to_state, pause_reason, sentence, actor
  FROM jsonb_populate_recordset(NULL::bench_queue.events, $1::jsonb)`,
});

let opened: PooledDatabase | null = null;

function database(): PooledDatabase {
  if (opened === null) throw new Error("prepare comes first");
  return opened;
}

async function ddl(text: string): Promise<void> {
  await database().knex.raw(text);
}

type Rows = readonly Readonly<Record<string, unknown>>[];

/** Rows of one plan as the orchestrator wrote them, to be written again under other ids. */
interface PlanRows {
  readonly plans: Rows;
  readonly tasks: Rows;
  readonly pauses: Rows;
  readonly events: Rows;
}

function renamed(rows: Rows, planId: string, taskIds: ReadonlyMap<unknown, string>): Rows {
  return rows.map((row) => ({
    ...row,
    plan_id: planId,
    ...("task_id" in row && row["task_id"] !== null && { task_id: taskIds.get(row["task_id"]) }),
    ...("pause_queue_id" in row && { pause_queue_id: randomUUID() }),
  }));
}

let template: PlanRows | null = null;

async function insertOnce(): Promise<void> {
  if (template === null) throw new Error("capture comes first");
  const planId = randomUUID();
  const taskIds = new Map<unknown, string>(template.tasks.map((row) => [row["task_id"], randomUUID()]));
  const json = (rows: Rows): string => JSON.stringify(renamed(rows, planId, taskIds));
  const { plans, tasks, pauses, events } = template;
  await database().transaction(async (tx) => {
    await tx.execute(insertPlan, [json(plans)]);
    await tx.execute(insertTasks, [json(tasks)]);
    await tx.execute(insertPauses, [json(pauses)]);
    await tx.execute(insertEvents, [json(events)]);
  });
}

serveCommands({
  async prepare(url: string): Promise<void> {
    opened = createDatabase({
      connection: url,
      schema: "bench_queue",
      applicationName: "headroom-bench-raw",
      ports: systemPorts,
      logger: silentLogger,
    });
    await ddl("CREATE SCHEMA IF NOT EXISTS bench_queue");
    await ddl(`
CREATE TABLE IF NOT EXISTS bench_queue.jobs (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, priority integer NOT NULL, state text NOT NULL DEFAULT 'waiting',
  fence bigint NOT NULL DEFAULT 0, payload jsonb NOT NULL, lease_until timestamptz, done_at timestamptz) WITH (fillfactor = 70);
CREATE INDEX IF NOT EXISTS jobs_waiting ON bench_queue.jobs (priority DESC, id) WHERE state = 'waiting'`);
  },

  /** Claims and completes so many jobs, on `lanes` connections; jobs a second. */
  async drain({ jobs, lanes }: { readonly jobs: number; readonly lanes: number }): Promise<number> {
    await ddl("TRUNCATE bench_queue.jobs");
    await database().knex.raw(
      `INSERT INTO bench_queue.jobs (priority, payload) SELECT 0, '{"argv":["true"]}' FROM generate_series(1, ${jobs})`,
    );
    await ddl("ANALYZE bench_queue.jobs");
    let done = 0;
    const startedAt = performance.now();
    const lane = async (): Promise<void> => {
      for (;;) {
        const claimed = await database().query(claim, []);
        if (claimed.length === 0) return;
        const completed = await database().execute(complete, [
          claimed.map(({ id }) => id),
          claimed.map(({ fence }) => fence),
        ]);
        done += completed;
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    if (done !== jobs) throw new Error(`${done} of ${jobs} jobs were completed`);
    return (jobs * 1_000) / (performance.now() - startedAt);
  },

  /** Takes the rows of a plan that the orchestrator has accepted as the pattern for `insert`. */
  async capture(planId: string): Promise<number> {
    for (const table of ["plans", "tasks", "pause_queue", "events"]) {
      await ddl(`DROP TABLE IF EXISTS bench_queue.${table}`);
      await ddl(`CREATE TABLE bench_queue.${table} (LIKE orchestrator.${table} INCLUDING ALL)`);
    }
    const rowsOf = async (table: string): Promise<Rows> => {
      const found = await database().knex.raw<{ rows: { row: Readonly<Record<string, unknown>> }[] }>(
        `SELECT to_jsonb(t) AS row FROM orchestrator.${table} t WHERE plan_id = ?`,
        [planId],
      );
      return found.rows.map(({ row }) => row);
    };
    template = {
      plans: (await rowsOf("plans")).map((row) => ({ ...row, request_id: null })),
      tasks: await rowsOf("tasks"),
      pauses: await rowsOf("pause_queue"),
      events: await rowsOf("events"),
    };
    return template.tasks.length;
  },

  /** Inserts so many plans, `lanes` at once, each in one transaction; milliseconds of each. */
  async insert({ plans, lanes }: { readonly plans: number; readonly lanes: number }): Promise<readonly number[]> {
    const timesMs: number[] = [];
    let left = plans;
    const lane = async (): Promise<void> => {
      while (left > 0) {
        left -= 1;
        const startedAt = performance.now();
        await insertOnce();
        timesMs.push(performance.now() - startedAt);
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    return timesMs;
  },
});
