/** The queue is held and released while somebody keeps rows locked, and while more waits than one statement is to write. */
import { randomUUID } from "node:crypto";
import {
  createPostgresStore,
  orchestratorMigrations,
  orchestratorSchema,
  type OrchestratorStore,
} from "@headroom/orchestrator";
import { createDatabase, migrate, type PooledDatabase } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { createStoreDesk, newPlan, newTask, paused } from "../../conformance/orchestrator-store/desk.ts";

const by = { reason: "power work", by: "ana", call: { requestId: "", traceparent: "" } };
const hourMs = 3_600_000;
/** More than are put off by the release itself, and than are looked for at once. */
const many = 2_600;
const batch = 500;

let database: TestDatabase;
let pool: PooledDatabase;
let store: OrchestratorStore;
const desk = createStoreDesk(() => store);

beforeAll(async () => {
  database = await createTestDatabase({ label: "orch_queue_hold" });
  const common = { logger: silentLogger, ports: systemPorts, schema: orchestratorSchema };
  await migrate({ connection: database.connectionString, migrations: orchestratorMigrations, ...common });
  pool = createDatabase({ connection: database.connectionString, applicationName: "queue hold", ...common });
  store = createPostgresStore(pool);
});
beforeEach(async () => {
  await pool.knex.raw("TRUNCATE plans, pause_queue, queue_hold, queue_events CASCADE");
});
afterAll(async () => {
  await pool.close();
  await database.drop();
});

/** Does something while somebody has locked the row of a task. */
async function whileLocked(table: "tasks" | "pause_queue", taskId: string, what: () => Promise<void>): Promise<void> {
  const rows = await pool.knex.transaction();
  try {
    await rows.raw(`SELECT FROM ${table} WHERE task_id = ? FOR UPDATE`, [taskId]);
    await what();
  } finally {
    await rows.rollback();
  }
}

it("DESIGN 5: is held though somebody has a claimed task locked: nothing is assigned, and the other claims are gone", async () => {
  await desk.accept(newPlan([newTask("a", { pause: paused }), newTask("b", { pause: paused })]));
  const claimed = await desk.claim();
  const [first, second] = claimed;
  await whileLocked("tasks", first?.taskId ?? "", async () => {
    expect(await store.holdQueue(by)).toMatchObject({ heldBy: "ana" });
    const rows = await database.sql("SELECT task_id FROM orchestrator.tasks WHERE claim_expires_at IS NOT NULL");
    expect(rows).toEqual([{ task_id: first?.taskId }]);
  });
  expect(second).toBeDefined();
  expect(await desk.assign(claimed, randomUUID())).toEqual([]);
});

/** Minutes until each deadline in the table. */
const minutesLeft = async (): Promise<readonly number[]> => {
  const rows = await database.sql<{ minutes: number }>(
    "SELECT round(extract(epoch FROM wait_deadline - now()) / 60)::int AS minutes FROM orchestrator.pause_queue ORDER BY 1",
  );
  return rows.map(({ minutes }) => minutes);
};

/** Held for two hours: `from` and `to`, in minutes before now. */
async function holdFrom(minutesAgo: number): Promise<void> {
  await store.holdQueue(by);
  await database.sql("UPDATE orchestrator.queue_hold SET held_at = now() - $1 * interval '1 minute'", [minutesAgo]);
}

it("DESIGN 5: is released however much waits and whoever locks a row, and each deadline is put off once for each hold", async () => {
  const tasks = Array.from({ length: many }, (_, n) => newTask(`task ${n}`, { pause: paused, waitTimeoutMs: hourMs }));
  const { planId } = newPlan([]);
  await desk.accept(newPlan(tasks, { planId }));
  await holdFrom(120);
  // Their hour began two and a half hours ago.
  await database.sql("UPDATE orchestrator.pause_queue SET wait_deadline = now() - interval '90 minutes'");
  const [first] = tasks;
  await whileLocked("pause_queue", first?.taskId ?? "", async () => {
    expect(await store.releaseQueue(by)).toMatchObject({ heldBy: "ana" });
    const left = await minutesLeft();
    expect([left.filter((minutes) => minutes === -90).length, left.filter((minutes) => minutes === 30).length]).toEqual(
      [many - 2_000, 2_000],
    );
    // Whoever reads it reckons.
    const deadlines = (await store.planTasks(planId)).map(({ pause }) => pause?.waitDeadlineMs ?? 0);
    expect(Math.max(...deadlines) - Math.min(...deadlines)).toBeLessThan(60_000);
    expect(Math.min(...deadlines)).toBeGreaterThan(Date.now() + 29 * 60_000);
    const looked = await store.failWaitedTooLong(batch, []);
    // The one that is locked stands first, and its plan is left out.
    expect(looked).toEqual({ failed: [], putOff: batch - 1, leftOut: [{ planId, error: null }] });
  });

  // A second hold, of ten minutes, before all were put off by the first one.
  await holdFrom(10);
  await store.releaseQueue(by);
  for (let looks = 0; looks < 10; looks += 1)
    expect(await store.failWaitedTooLong(batch, [])).toMatchObject({ failed: [], leftOut: [] });
  const end = (await store.planTasks(planId)).map(({ pause }) =>
    Math.round(((pause?.waitDeadlineMs ?? 0) - Date.now()) / 60_000),
  );
  expect([Math.min(...end), Math.max(...end)]).toEqual([40, 40]);
}, 60_000);

it("what waited too long before its queue was held fails after the release", async () => {
  const task = newTask("a", { pause: paused, waitTimeoutMs: hourMs });
  await desk.accept(newPlan([task]));
  await holdFrom(10);
  await database.sql("UPDATE orchestrator.pause_queue SET wait_deadline = now() - interval '90 minutes'");
  await store.releaseQueue(by);
  expect(await store.failWaitedTooLong(batch, [])).toMatchObject({ failed: [{ taskId: task.taskId }], putOff: 0 });
});
