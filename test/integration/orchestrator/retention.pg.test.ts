/** What is deleted of old work, and what comes of it afterwards. */
import { randomUUID } from "node:crypto";
import {
  createPostgresStore,
  orchestratorMigrations,
  orchestratorSchema,
  type OrchestratorStore,
} from "@headroom/orchestrator";
import { createDatabase, migrate, type PooledDatabase } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase, waitFor } from "@headroom/testing";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createStoreDesk, newTask, paused, succeed } from "../../conformance/orchestrator-store/desk.ts";
import { createWorld, dispatchOne, fleetSeen, taskOf, type World } from "./harness.ts";

const keepMs = 30 * 86_400_000;
/** Rows in a portion: fewer than a plan has of anything. */
const portion = 2;
const maxOutputBytes = 1_000;

let database: TestDatabase;
let world: World;
let pool: PooledDatabase;
let store: OrchestratorStore;
const desk = createStoreDesk(() => store);
const { start, resultOf } = desk;

beforeAll(async () => {
  database = await createTestDatabase({ label: "orch_retention" });
  world = await createWorld("orch_retention", database.connectionString);
  const common = { logger: silentLogger, ports: systemPorts, schema: orchestratorSchema };
  await migrate({ connection: database, migrations: orchestratorMigrations, ...common });
  pool = createDatabase({ connection: database, applicationName: "retention", ...common });
  store = createPostgresStore(pool);
});
afterEach(async () => {
  await pool.knex.raw(
    "TRUNCATE room_holds, plans, tasks, task_dependencies, attempts, pause_queue, events, task_output, retry_requests, task_durations",
  );
});
afterAll(async () => {
  await world.close();
  await pool.close();
  await database.drop();
});

const piece = (seq: number) =>
  ({ seq, stream: "stdout", atMs: Date.now(), data: Buffer.from(`piece ${seq}`) }) as const;
/** As if the plan had ended a day longer ago than it is to be kept. Its events are young: they go with it. */
const age = (planId: string) =>
  database.sql("UPDATE orchestrator.plans SET finished_at = finished_at - interval '31 days' WHERE plan_id = $1", [
    planId,
  ]);
const trimAll = async (): Promise<number> => {
  const leftOut: string[] = [];
  for (let portions = 0; ;) {
    const trimmed = await store.trimHistory({ ms: keepMs, nowAtMostMs: Date.now() + 60_000 }, portion, leftOut);
    leftOut.push(...trimmed.leftOut.map(({ planId }) => planId));
    if (trimmed.isTrimmed) portions += 1;
    else if (trimmed.leftOut.length === 0) return portions;
  }
};

/** A plan that has ended, and of which every table has rows: it waited, ran, failed, was retried, ran again and wrote output. */
async function endedPlan(): Promise<{ readonly planId: string; readonly taskIds: readonly string[] }> {
  const a = newTask("a", { maxAttempts: 1 });
  const b = newTask("b", { dependsOnTaskIds: [a.taskId], pause: { ...paused, blocked: true } });
  const { agentId, plan, first } = await start([a, b]);
  const { planId } = plan;
  const call = { requestId: "", traceparent: "" };
  const finish = (attempt: typeof first) =>
    store.finishAttempt(resultOf(attempt, agentId), () => succeed(resultOf(attempt, agentId)));
  await store.finishAttempt(resultOf(first, agentId), () => ({
    kind: "final",
    attemptState: "failed",
    taskState: "failed",
    eventKind: "TASK_FAILED",
    sentence: "code 1",
  }));
  expect(await store.retryPlan(planId, randomUUID(), "again", call)).toMatchObject({ kind: "retried" });
  for (let task = 0; task < 2; task += 1) {
    const [attempt] = await desk.assign(await desk.claim({ planId }), agentId);
    if (attempt === undefined) throw new Error("nothing was assigned");
    await store.appendOutput(attempt, agentId, [piece(1), piece(2), piece(3)], maxOutputBytes);
    await finish(attempt);
  }
  expect((await store.getPlan(planId))?.finishedAtMs).not.toBeNull();
  return { planId, taskIds: [a.taskId, b.taskId] };
}

/** How many rows of each table name one of these plans, tasks or attempts: of all tables that there are, also those that are yet to come. */
async function rowsThatName(ids: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const columns = await database.sql<{ table: string; column: string }>(
    `SELECT c.table_name AS table, c.column_name AS column
       FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
      WHERE c.table_schema = 'orchestrator' AND t.table_type = 'BASE TABLE' AND c.column_name ~ '(plan|task|attempt)_id$'`,
  );
  const found = new Map<string, number>();
  for (const { table, column } of columns) {
    const [row] = await database.sql<{ rows: number }>(
      `SELECT count(*)::int AS rows FROM orchestrator.${table} WHERE ${column}::text = ANY($1)`,
      [ids],
    );
    const rows = row?.rows ?? 0;
    if (rows > 0) found.set(table, Math.max(rows, found.get(table) ?? 0));
  }
  return found;
}

const idsOf = async (planId: string, taskIds: readonly string[]): Promise<readonly string[]> => {
  const attempts = await database.sql<{ id: string }>(
    "SELECT attempt_id::text AS id FROM orchestrator.attempts WHERE plan_id = $1",
    [planId],
  );
  return [planId, ...taskIds, ...attempts.map(({ id }) => id)];
};

describe("retention", () => {
  it("deletes an old plan with all that hangs on it, in portions, and nothing of one that is young enough", async () => {
    const [old, young] = [await endedPlan(), await endedPlan()];
    const oldIds = await idsOf(old.planId, old.taskIds);
    const youngIds = await idsOf(young.planId, young.taskIds);
    const before = await rowsThatName(oldIds);
    expect([...before.keys()].toSorted()).toEqual([
      "attempts",
      "events",
      "pause_queue",
      "plans",
      "retry_requests",
      "task_dependencies",
      "task_output",
      "tasks",
    ]);
    await age(old.planId);
    expect(await trimAll()).toBeGreaterThan(((before.get("events") ?? 0) + (before.get("task_output") ?? 0)) / portion);
    expect(await rowsThatName(oldIds)).toEqual(new Map());
    expect(await rowsThatName(youngIds)).toEqual(before);
  });

  it("deletes nothing that is young by this machine's clock, however far ahead the database's is", async () => {
    const { planId } = await endedPlan();
    await age(planId);
    const earlier = { ms: keepMs, nowAtMostMs: Date.now() - 2 * 86_400_000 };
    expect(await store.trimHistory(earlier, portion, [])).toEqual({ isTrimmed: false, leftOut: [] });
    expect(await trimAll()).toBeGreaterThan(0);
  });

  it("waits for output that is being written at that moment, and deletes it too", async () => {
    const { agentId, first, plan } = await start();
    await store.finishAttempt(resultOf(first, agentId), () => succeed(resultOf(first, agentId)));
    await age(plan.planId);
    let writing: Promise<number | null> = Promise.resolve(null);
    let trimming: Promise<number> = Promise.resolve(0);
    const stuck = (sessions: number) =>
      waitFor(async () => {
        const waiting = await database.sql(
          "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
        );
        return waiting.length === sessions;
      });
    const rows = await pool.knex.transaction();
    try {
      // The same piece, not committed: who writes it has its attempt already, and waits to see what becomes of this one.
      await rows.raw("INSERT INTO task_output (attempt_id, seq, stream, at, data) VALUES (?, 1, 'stdout', now(), '')", [
        first.attemptId,
      ]);
      writing = store.appendOutput(first, agentId, [piece(1)], maxOutputBytes);
      await stuck(1);
      trimming = trimAll();
      await stuck(2);
    } finally {
      await rows.rollback();
    }
    expect(await writing).toBe(1);
    await trimming;
    expect(await rowsThatName([plan.planId, first.taskId, first.attemptId])).toEqual(new Map());
    expect(await store.appendOutput(first, agentId, [piece(2)], maxOutputBytes)).toBeNull();
  });

  it.each(["plans", "attempts"])("goes on with other plans while somebody keeps rows of %s locked", async (table) => {
    const [locked, other] = [await endedPlan(), await endedPlan()];
    const lockedIds = await idsOf(locked.planId, locked.taskIds);
    const otherIds = await idsOf(other.planId, other.taskIds);
    await age(locked.planId);
    await age(locked.planId);
    await age(other.planId);
    // All of its events are old, more than a portion of them, and come first.
    await database.sql("UPDATE orchestrator.events SET at = at - interval '31 days' WHERE plan_id = $1", [
      locked.planId,
    ]);
    await database.sql(
      "UPDATE orchestrator.events SET at = at - interval '31 days' WHERE event_id IN (SELECT min(event_id) FROM orchestrator.events WHERE plan_id = $1)",
      [other.planId],
    );
    const rows = await pool.knex.transaction();
    try {
      await rows.raw(`SELECT FROM ${table} WHERE plan_id = ? FOR UPDATE`, [locked.planId]);
      await trimAll();
      expect(await rowsThatName(otherIds)).toEqual(new Map());
      expect((await rowsThatName(lockedIds)).get("tasks")).toBe(2);
    } finally {
      await rows.rollback();
    }
    await trimAll();
    expect(await rowsThatName(lockedIds)).toEqual(new Map());
  });

  it("output and results that come for what is deleted are dropped: the agent hears so, and its stream goes on", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const { planId, taskId } = await dispatchOne(running);
    const given = await waitFor(() => [...agent.running.values()][0]);
    const { attemptId } = given;
    agent.output(attemptId, 1, "in time");
    agent.finish(attemptId);
    await waitFor(() => agent.acks.get(attemptId)?.refused === false);
    await age(planId);
    await trimAll();
    expect(await rowsThatName([planId, taskId, attemptId])).toEqual(new Map());

    agent.output(attemptId, 2, "too late");
    // Said again because its ack was lost, say. It is handled after the output before it.
    agent.finish(attemptId);
    await waitFor(() => agent.acks.get(attemptId)?.refused === true);
    const next = await dispatchOne(running);
    await waitFor(() => agent.running.size === 1);
    for (const id of [...agent.running.keys()]) agent.finish(id);
    await waitFor(async () => (await taskOf(running, next.taskId)).finishedAt !== undefined);
    expect(agent.closes).toEqual([]);
    expect(running.logger.records.filter(({ level }) => level === "error")).toEqual([]);
    expect(await rowsThatName([planId, taskId, attemptId])).toEqual(new Map());
  });

  it("DESIGN 5: what a deleted row may be named by is found by an index, never by a look through a whole table", async () => {
    const keys = await database.sql<{ key: string; indexed: boolean }>(
      `SELECT k.conrelid::regclass || '.' || k.conname AS key,
              EXISTS (SELECT FROM pg_index i
                       WHERE i.indrelid = k.conrelid AND i.indisvalid AND i.indpred IS NULL
                         AND (i.indkey::int2[])[0:cardinality(k.conkey) - 1] @> k.conkey) AS indexed
         FROM pg_constraint k
        WHERE k.contype = 'f' AND k.connamespace = 'orchestrator'::regnamespace`,
    );
    expect(keys.length).toBeGreaterThan(3);
    expect(keys.filter(({ indexed }) => !indexed)).toEqual([]);
  });
});
