/** Rows that are kept locked by somebody, and that others come before: of the tasks that end nothing is written, and of all others everything. */
import {
  createPostgresStore,
  orchestratorMigrations,
  orchestratorSchema,
  type AttemptVerdict,
  type OrchestratorStore,
} from "@headroom/orchestrator";
import { classifyError, createDatabase, migrate, type PooledDatabase } from "@headroom/postgres";
import { nextTurn, silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase, waitFor } from "@headroom/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createStoreDesk, newTask, succeed } from "../../conformance/orchestrator-store/desk.ts";

let database: TestDatabase;
/** Of the store, and of whoever locks. */
let pool: PooledDatabase;
let other: PooledDatabase;
let store: OrchestratorStore;
const desk = createStoreDesk(() => store);

beforeAll(async () => {
  database = await createTestDatabase({ label: "orch_locked_dependents" });
  const common = { connection: database.connectionString, logger: silentLogger, schema: orchestratorSchema };
  await migrate({ ...common, migrations: orchestratorMigrations, ports: systemPorts });
  pool = createDatabase({ ...common, applicationName: "locked dependents", ports: systemPorts });
  other = createDatabase({ ...common, applicationName: "locks dependents", ports: systemPorts });
  store = createPostgresStore(pool);
});
beforeEach(async () => {
  await other.knex.raw("TRUNCATE plans CASCADE");
});
afterAll(async () => {
  await pool.close();
  await other.close();
  await database.drop();
});

type Table = "plans" | "tasks" | "pause_queue";

async function lock(table: Table, key: "plan_id" | "task_id", id: string): Promise<() => Promise<void>> {
  const rows = await other.knex.transaction();
  await rows.raw(`SELECT FROM ${table} WHERE ${key} = ? FOR UPDATE`, [id]);
  return async () => {
    await rows.rollback();
  };
}

/** The answer, and how many sessions at most waited for a lock meanwhile. */
async function watchLocks<Result>(answer: Promise<Result>): Promise<{ result: Result; mostWaiting: number }> {
  const waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
  const isOver = answer.then(() => true);
  let mostWaiting = 0;
  while (!(await Promise.race([isOver, nextTurn()])))
    mostWaiting = Math.max(mostWaiting, (await database.sql(waiting)).length);
  return { result: await answer, mostWaiting };
}

const fail = (): AttemptVerdict => ({
  kind: "final",
  attemptState: "failed",
  taskState: "failed",
  eventKind: "TASK_FAILED",
  sentence: "code 1",
});

type Sent = Awaited<ReturnType<typeof desk.start>>["sent"][number];

function patienceOf() {
  const patience = {
    wasLocked: 0,
    signal: new AbortController().signal,
    onLocked: () => {
      patience.wasLocked += 1;
    },
  };
  return patience;
}

const waits = { reason: "DEPENDENCY_PENDING", sentence: "waits", blocked: true } as const;

/** "ab" comes after "a" and "b", "abc" after "ab", and nothing after "alone". */
async function startGraph() {
  const [a, b, alone] = [newTask("a"), newTask("b"), newTask("alone")];
  const ab = newTask("ab", { dependsOnTaskIds: [a.taskId, b.taskId], pause: waits });
  const abc = newTask("abc", { dependsOnTaskIds: [ab.taskId], pause: waits });
  const { agentId, plan, sent } = await desk.start([a, b, alone, ab, abc]);
  const patience = patienceOf();
  const finish = (task: typeof a, decide: () => AttemptVerdict = () => succeed(result(task))) =>
    store.finishAttempt(result(task), decide, patience);
  const result = (task: typeof a) => {
    const attempt = sent.find((one: Sent) => one.taskId === task.taskId);
    if (attempt === undefined) throw new Error(`${task.name} must run`);
    return desk.resultOf(attempt, agentId);
  };
  const states = async () => (await store.getPlan(plan.planId))?.counts;
  return { plan, a, b, ab, abc, alone, finish, states };
}

function kindOf(outcome: PromiseSettledResult<unknown>): string {
  return outcome.status === "fulfilled" ? "written" : classifyError(outcome.reason).kind;
}

describe.each(["tasks", "pause_queue"] as const)("DESIGN 5: a row of %s that others come before", (table) => {
  it("is waited for by nobody when one of them succeeds: the others of the plan and whoever needs it go on", async () => {
    const { plan, a, b, ab, alone, finish, states } = await startGraph();
    if (table === "pause_queue") await finish(b);
    const unlock = await lock(table, "task_id", ab.taskId);
    try {
      // What was refused comes again.
      for (const tasks of [[a, alone], [a], [a]]) {
        const ended = Promise.allSettled(tasks.map((task) => finish(task)));
        const { result, mostWaiting } = await watchLocks(ended);
        expect([result.map(kindOf), mostWaiting]).toEqual([["conflict", "written"].slice(0, tasks.length), 0]);
      }
      expect(await store.isPlanKeptLocked(plan.planId)).toBe(false);
      expect(await states()).toMatchObject({ succeeded: table === "tasks" ? 1 : 2 });
    } finally {
      await unlock();
    }
    expect(await finish(a)).toMatchObject({ verdict: { kind: "final" }, released: table === "tasks" ? 0 : 1 });
    if (table === "tasks") expect(await finish(b)).toMatchObject({ released: 1 });
  });

  it("is waited for by nobody when one of them fails, however far behind it stands", async () => {
    const { plan, a, abc, alone, finish, states } = await startGraph();
    const unlock = await lock(table, "task_id", abc.taskId);
    try {
      const together = Promise.allSettled([finish(alone, fail), finish(a, fail)]);
      const { result, mostWaiting } = await watchLocks(together);
      expect([result.map(kindOf), mostWaiting]).toEqual([["written", "conflict"], 0]);
      expect(await store.isPlanKeptLocked(plan.planId)).toBe(false);
      expect(await states()).toMatchObject({ failed: 1, cancelled: 0 });
    } finally {
      await unlock();
    }
    expect(await finish(a, fail)).toMatchObject({ released: 0 });
    expect(await states()).toMatchObject({ failed: 2, cancelled: 2 });
  });
});

it("a row of the queue that is locked is no matter of a task behind which others still come before it", async () => {
  const { ab, a, b, finish } = await startGraph();
  const unlock = await lock("pause_queue", "task_id", ab.taskId);
  try {
    expect(await finish(a)).toMatchObject({ verdict: { kind: "final" } });
    const { result } = await watchLocks(Promise.allSettled([finish(b)]));
    expect(result.map(kindOf)).toEqual(["conflict"]);
  } finally {
    await unlock();
  }
  expect(await finish(b)).toMatchObject({ released: 1 });
});

it("DESIGN 5: of plans that are more than there are lanes none is held while another is waited for", async () => {
  const started = await Promise.all(Array.from({ length: 5 }, () => desk.start()));
  const patience = patienceOf();
  const finish = ({ first, agentId }: (typeof started)[number]) => {
    const result = desk.resultOf(first, agentId);
    return store.finishAttempt(result, () => succeed(result), patience);
  };
  const unlocks = await Promise.all(started.map(({ plan }) => lock("plans", "plan_id", plan.planId)));
  const inLanes = started.slice(0, 3).map(finish);
  await waitFor(() => patience.wasLocked === 3);
  const shared = started.slice(3);
  const before = await watchLocks(Promise.allSettled(shared.map(finish)));
  expect(before.result.map(kindOf)).toEqual(["conflict", "conflict"]);
  // Plans are locked in the order of their ids: the first one would be held.
  const [freed] = [3, 4].toSorted((x, y) => (planIdOf(started[x]) < planIdOf(started[y]) ? -1 : 1));
  await unlocks[freed ?? 3]?.();
  const { result, mostWaiting } = await watchLocks(Promise.allSettled(shared.map(finish)));
  expect(result.map(kindOf)).toEqual(freed === 3 ? ["written", "conflict"] : ["conflict", "written"]);
  expect(mostWaiting).toBeLessThanOrEqual(3);
  for (const [index, unlock] of unlocks.entries()) if (index !== freed) await unlock();
  for (const answer of await Promise.all(inLanes)) expect(answer).toMatchObject({ verdict: { kind: "final" } });
});

function planIdOf(started: { readonly plan: { readonly planId: string } } | undefined): string {
  return started?.plan.planId ?? "";
}
