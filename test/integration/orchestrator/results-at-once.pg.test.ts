/** What one statement may write of results that were judged before anything was locked: only what still stands when it is. */
import {
  type AttemptSituation,
  type AttemptVerdict,
  createPostgresStore,
  type DecideAttempt,
  type NewTask,
  orchestratorMigrations,
  orchestratorSchema,
  type OrchestratorStore,
} from "@headroom/orchestrator";
import { createDatabase, migrate, type PooledDatabase } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createStoreDesk, newTask } from "../../conformance/orchestrator-store/desk.ts";

let database: TestDatabase;
let pool: PooledDatabase;
let store: OrchestratorStore;
let statements: string[] = [];

beforeAll(async () => {
  database = await createTestDatabase({ label: "write_at_once" });
  const common = { logger: silentLogger, ports: systemPorts, schema: orchestratorSchema };
  await migrate({ connection: database.connectionString, migrations: orchestratorMigrations, ...common });
  pool = createDatabase({
    connection: database.connectionString,
    applicationName: "write-at-once",
    ...common,
    metrics: {
      statementFinished: (name) => statements.push(name),
      transactionRetried: () => undefined,
    },
  });
  store = createPostgresStore(pool);
});
beforeEach(() => {
  statements = [];
});
afterAll(async () => {
  await pool?.close();
  await database?.drop();
});

const desk = createStoreDesk(() => store);
const names = (count: number): readonly NewTask[] => Array.from({ length: count }, (_, n) => newTask(`task-${n}`));
const end =
  (state: "succeeded" | "failed" | "cancelled", sentence = state): DecideAttempt =>
  (): AttemptVerdict => ({
    kind: "final",
    attemptState: state,
    taskState: state,
    eventKind: `TASK_${state.toUpperCase()}`,
    sentence,
  });

/** Does `before` in another transaction that has the plan's lock, begins `during`, and commits once that waits for the lock. */
async function whileLocked(planId: string, before: string, values: readonly string[], during: () => Promise<unknown>) {
  const started = await pool.knex.transaction(async (tx) => {
    await tx.raw("SELECT FROM plans WHERE plan_id = ? FOR NO KEY UPDATE", [planId]);
    await tx.raw(before, [...values]);
    const promise = during();
    for (;;) {
      const waiting = await database.sql<{ count: number }>(
        "SELECT count(*)::integer AS count FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
      );
      if ((waiting[0]?.count ?? 0) > 0) return { promise };
    }
  });
  await started.promise;
}

/** The first task of a plan of so many succeeds; what it is decided on is read before another of them has failed, and written after. */
async function succeedWhileAnotherFails(tasks: number) {
  const { plan, sent, agentId } = await desk.start(names(tasks));
  const [one, two] = sent;
  if (one === undefined || two === undefined) throw new Error("nothing was assigned");
  statements = [];
  await whileLocked(
    plan.planId,
    `WITH done AS (UPDATE tasks SET state = 'failed', finished_at = now() WHERE task_id = ?)
     UPDATE plans SET unfinished_tasks = unfinished_tasks - 1 WHERE plan_id = ?`,
    [two.taskId, plan.planId],
    () => store.finishAttempt(desk.resultOf(one, agentId), end("succeeded")),
  );
  return plan;
}

async function planOf(planId: string) {
  const plan = await store.getPlan(planId);
  if (plan === null) throw new Error("the plan is gone");
  const [row] = await database.sql<{ unfinished: number; outcome: string | null }>(
    "SELECT unfinished_tasks AS unfinished, outcome FROM orchestrator.plans WHERE plan_id = $1",
    [planId],
  );
  return row;
}

describe("results written at once", () => {
  it("a look and one statement write a result, and end a plan of one task with its event after the task's", async () => {
    const { first, agentId, plan } = await desk.start();
    statements = [];
    await store.markStarted(first, agentId, Date.now());
    const applied = await store.finishAttempt(desk.resultOf(first, agentId), end("succeeded"));
    expect(statements).toEqual([
      "attempts_read",
      "attempts_report_at_once",
      "attempts_read",
      "attempts_report_at_once",
    ]);
    expect(applied).toMatchObject({ planId: plan.planId, taskId: first.taskId, released: 0 });
    expect(await planOf(plan.planId)).toEqual({ unfinished: 0, outcome: "succeeded" });
    expect((await desk.kinds(plan.planId)).slice(-3)).toEqual(["TASK_STARTED", "TASK_SUCCEEDED", "PLAN_SUCCEEDED"]);
    expect((await store.getTask(first.taskId))?.state).toBe("succeeded");
  });

  it("counts what others have finished while it waited for the plan", async () => {
    const plan = await succeedWhileAnotherFails(3);
    expect(statements).toContain("attempts_report_at_once");
    expect(statements).not.toContain("attempts_lock");
    expect(await planOf(plan.planId)).toEqual({ unfinished: 1, outcome: null });
  });

  it("leaves the end of a plan to a transaction when others of its tasks have ended: it sees how", async () => {
    const plan = await succeedWhileAnotherFails(2);
    expect(statements).toEqual(expect.arrayContaining(["attempts_report_at_once", "attempts_lock", "plans_finish"]));
    expect(await planOf(plan.planId)).toEqual({ unfinished: 0, outcome: "failed" });
    const kinds = await desk.kinds(plan.planId);
    expect(kinds.filter((kind) => kind === "TASK_SUCCEEDED" || kind === "PLAN_FAILED")).toEqual([
      "TASK_SUCCEEDED",
      "PLAN_FAILED",
    ]);
  });

  it.each([
    ["the task", "UPDATE tasks SET cancel_requested_at = now() WHERE task_id = ?", "taskId"],
    ["the attempt", "UPDATE attempts SET refused_results = refused_results + 1 WHERE attempt_id = ?", "attemptId"],
  ] as const)("decides anew when %s has changed meanwhile", async (_, change, id) => {
    const { plan, first, agentId } = await desk.start();
    const seen: AttemptSituation[] = [];
    const decide: DecideAttempt = (situation) => {
      seen.push(situation);
      return end(situation.cancelRequested ? "cancelled" : "succeeded")(situation);
    };
    statements = [];
    await whileLocked(plan.planId, change, [first[id]], () =>
      store.finishAttempt(desk.resultOf(first, agentId), decide),
    );
    expect(statements).toContain("attempts_lock");
    expect(seen.length).toBe(2);
    const expected = id === "taskId" ? "cancelled" : "succeeded";
    expect((await store.getTask(first.taskId))?.state).toBe(expected);
    expect(await planOf(plan.planId)).toEqual({ unfinished: 0, outcome: expected });
    expect((await desk.kinds(plan.planId)).filter((kind) => kind.startsWith("PLAN_")).length).toBe(2);
  });

  it("a group ends the plan of which it has all tasks as its worst task ended", async () => {
    const { plan, sent, agentId } = await desk.start(names(3));
    statements = [];
    // The first goes alone; what comes meanwhile goes together, with the plans of their own.
    const alone = await desk.start();
    await Promise.all([
      store.finishAttempt(desk.resultOf(alone.first, alone.agentId), end("succeeded")),
      ...sent.map((attempt, n) =>
        store.finishAttempt(desk.resultOf(attempt, agentId), end(n === 1 ? "failed" : "succeeded")),
      ),
    ]);
    expect(statements).not.toContain("attempts_lock");
    expect(await planOf(plan.planId)).toEqual({ unfinished: 0, outcome: "failed" });
    expect((await desk.kinds(plan.planId)).at(-1)).toBe("PLAN_FAILED");
  });

  it("two results of one attempt at two replicas: one ends it, the other is told that it has ended", async () => {
    const { plan, first, agentId } = await desk.start();
    const others = createPostgresStore(pool);
    const decide: DecideAttempt = (situation) =>
      situation.attemptState === "succeeded" ? { kind: "repeat" } : end("succeeded")(situation);
    const answers = await Promise.all(
      [store, others].map((one) => one.finishAttempt(desk.resultOf(first, agentId), decide)),
    );
    expect(answers.map((answer) => answer?.verdict.kind)).toEqual(expect.arrayContaining(["final", "repeat"]));
    expect((await desk.kinds(plan.planId)).filter((kind) => kind === "TASK_SUCCEEDED").length).toBe(1);
  });
});
