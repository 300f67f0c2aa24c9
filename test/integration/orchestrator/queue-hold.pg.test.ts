/** The queue is held and released while somebody keeps rows locked, and while more waits than one statement is to write. */
import { randomUUID } from "node:crypto";
import {
  createPostgresStore,
  orchestratorMigrations,
  orchestratorSchema,
  type OrchestratorStore,
  type PuttingOff,
} from "@headroom/orchestrator";
import { createDatabase, migrate, type PooledDatabase } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase, waitFor } from "@headroom/testing";
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { createStoreDesk, newPlan, newTask, paused } from "../../conformance/orchestrator-store/desk.ts";

const by = { reason: "power work", by: "ana", call: { requestId: "", traceparent: "" } };
const hourMs = 3_600_000;
/** More than are put off or looked for at once. */
const many = 2_600;
const batch = 500;
const putOffBatch = 1_000;

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
    await store.takeClaimsAway();
    const rows = await database.sql("SELECT task_id FROM orchestrator.tasks WHERE claim_expires_at IS NOT NULL");
    expect(rows).toEqual([{ task_id: first?.taskId }]);
  });
  expect(second).toBeDefined();
  expect(await desk.assign(claimed, randomUUID())).toEqual([]);
});

it.each(["tasks", "pause_queue"] as const)(
  "DESIGN 5: nothing is assigned after the hold was answered, also if the assignment began before it and waited for a lock on %s",
  async (table) => {
    await desk.accept(newPlan([newTask("a", { pause: paused }), newTask("b", { pause: paused })]));
    const claimed = await desk.claim();
    const last = claimed.at(-1)?.taskId ?? "";
    let assigning: Promise<readonly unknown[]> = Promise.resolve([]);
    await whileLocked(table, last, async () => {
      assigning = desk.assign(claimed, randomUUID());
      await waitFor(async () => {
        const waiting = await database.sql(
          "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
        );
        return waiting.length > 0;
      });
      await store.holdQueue(by);
    });
    expect(await assigning).toEqual([]);
    await store.releaseQueue(by);
    expect(await desk.assign(claimed, randomUUID())).toHaveLength(2);
  },
);

it("claims are taken away only while the queue is held", async () => {
  await desk.accept(newPlan([newTask("a", { pause: paused })]));
  const claimed = await desk.claim();
  await store.holdQueue(by);
  await store.releaseQueue(by);
  await store.takeClaimsAway();
  expect(await desk.assign(claimed, randomUUID())).toHaveLength(1);
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

/** Puts off all that a release has left, in the portions of one replica; `between` is done before each. */
async function putOffAll(between: () => Promise<void> = () => Promise.resolve()): Promise<void> {
  for (let before: PuttingOff | null = null, portions = 0; portions < 20; portions += 1) {
    await between();
    before = await store.putOffAfterRelease(putOffBatch, before);
    if (before === null) return;
  }
  throw new Error("it never ends");
}

/** What a replica of the version before would fail at this moment: it goes by what stands in the table. */
async function oldFindsDue(): Promise<number> {
  const [row] = await database.sql<{ due: number }>(
    `SELECT count(*)::int AS due FROM orchestrator.pause_queue
      WHERE status = 'waiting' AND wait_deadline <= now() AND NOT EXISTS (SELECT 1 FROM orchestrator.queue_hold)`,
  );
  return row?.due ?? 0;
}

/** Accepts so many with an hour to wait, which began two and a half hours ago; the queue is held since two hours. */
async function heldForTwoHours(
  count: number,
): Promise<{ readonly planId: string; readonly taskIds: readonly string[] }> {
  const tasks = Array.from({ length: count }, (_, n) => newTask(`task ${n}`, { pause: paused, waitTimeoutMs: hourMs }));
  const plan = newPlan(tasks);
  await desk.accept(plan);
  await holdFrom(120);
  await database.sql(
    "UPDATE orchestrator.pause_queue SET wait_deadline = now() - interval '90 minutes', paused_at = now() - interval '150 minutes'",
  );
  return { planId: plan.planId, taskIds: tasks.map(({ taskId }) => taskId) };
}

it("DESIGN 5: is released however much waits and whoever locks a row, and each deadline is put off once for each hold", async () => {
  const { planId, taskIds } = await heldForTwoHours(many);
  await whileLocked("pause_queue", taskIds[0] ?? "", async () => {
    expect(await store.releaseQueue(by)).toMatchObject({ heldBy: "ana" });
    expect(await store.queueHold()).toBeNull();
    // Whoever reads it reckons.
    const deadlines = (await store.planTasks(planId)).map(({ pause }) => pause?.waitDeadlineMs ?? 0);
    expect(Math.max(...deadlines) - Math.min(...deadlines)).toBeLessThan(60_000);
    expect(Math.min(...deadlines)).toBeGreaterThan(Date.now() + 29 * 60_000);
    const looked = await store.failWaitedTooLong(batch, []);
    // Of the one that is locked the plan is left out.
    expect(looked).toMatchObject({ failed: [], leftOut: [{ planId, error: null }] });
    await putOffAll();
    const left = await minutesLeft();
    expect([left.filter((minutes) => minutes === -90).length, left.filter((minutes) => minutes === 30).length]).toEqual(
      [1, many - 1],
    );
  });

  // A second hold, of ten minutes, before the last one was put off by the first.
  await holdFrom(10);
  await store.releaseQueue(by);
  for (let looks = 0; looks < 10; looks += 1)
    expect(await store.failWaitedTooLong(batch, [])).toMatchObject({ failed: [], leftOut: [] });
  await putOffAll();
  const end = await minutesLeft();
  expect([Math.min(...end), Math.max(...end)]).toEqual([40, 40]);
}, 60_000);

it("a replica of the version before fails nothing that was late only by the hold: for it the queue is held until all is put off", async () => {
  const { taskIds } = await heldForTwoHours(many);
  await store.releaseQueue(by);
  // One is being changed when its turn comes, and free again when the others are through.
  const row = await pool.knex.transaction();
  await row.raw("SELECT FROM pause_queue WHERE task_id = ? FOR UPDATE", [taskIds[0] ?? ""]);
  let portions = 0;
  try {
    await putOffAll(async () => {
      expect(await oldFindsDue()).toBe(0);
      portions += 1;
      if (portions === 4) await row.rollback();
    });
  } finally {
    if (!row.isCompleted()) await row.rollback();
  }
  expect(portions).toBeGreaterThan(4);
  expect(await database.sql("SELECT FROM orchestrator.queue_hold")).toEqual([]);
  expect(await oldFindsDue()).toBe(0);
  expect(new Set(await minutesLeft())).toEqual(new Set([30]));
});

it("deadlines are put off also while the queue is held again, by a replica of the version before too", async () => {
  await heldForTwoHours(many);
  await store.releaseQueue(by);
  const before = await store.putOffAfterRelease(putOffBatch, null);
  await database.sql(
    `INSERT INTO orchestrator.queue_hold (reason, held_by) VALUES ('again', 'ben')
         ON CONFLICT (is_held) DO UPDATE SET reason = excluded.reason, held_by = excluded.held_by`,
  );
  expect(await store.queueHold()).toMatchObject({ heldBy: "ben" });
  expect(before).not.toBeNull();
  // Another one begins anew: whoever had begun is gone.
  await putOffAll();
  expect(await store.queueHold()).toMatchObject({ heldBy: "ben" });
  expect(new Set(await minutesLeft())).toEqual(new Set([30]));
});

it("a release by a replica of the version before puts nothing off a second time", async () => {
  await heldForTwoHours(3);
  await store.releaseQueue(by);
  expect(await store.putOffAfterRelease(putOffBatch, null)).not.toBeNull();
  await database.sql(
    `WITH released AS (DELETE FROM orchestrator.queue_hold RETURNING held_at)
     UPDATE orchestrator.pause_queue SET wait_deadline = wait_deadline + (now() - held_at) FROM released`,
  );
  expect(new Set(await minutesLeft())).toEqual(new Set([30]));
});

it("a queue in which nothing has a wait_timeout is released for everybody at once", async () => {
  await desk.accept(newPlan([newTask("a", { pause: paused })]));
  await store.holdQueue(by);
  await store.releaseQueue(by);
  expect(await database.sql("SELECT FROM orchestrator.queue_hold")).toEqual([]);
});

it("what waited too long before its queue was held fails after the release", async () => {
  const task = newTask("a", { pause: paused, waitTimeoutMs: hourMs });
  await desk.accept(newPlan([task]));
  await holdFrom(10);
  await database.sql("UPDATE orchestrator.pause_queue SET wait_deadline = now() - interval '90 minutes'");
  await store.releaseQueue(by);
  expect(await store.failWaitedTooLong(batch, [])).toMatchObject({ failed: [{ taskId: task.taskId }], putOff: 0 });
});
