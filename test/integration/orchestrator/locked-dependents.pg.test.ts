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

/** Sessions that wait for a lock. */
const waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";

/** The answer, and how many sessions at most waited for a lock meanwhile. */
async function watchLocks<Result>(answer: Promise<Result>): Promise<{ result: Result; mostWaiting: number }> {
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
  const attemptOf = (task: typeof a): Sent => {
    const attempt = sent.find(({ taskId }: Sent) => taskId === task.taskId);
    if (attempt === undefined) throw new Error(`${task.name} must run`);
    return attempt;
  };
  const result = (task: typeof a) => desk.resultOf(attemptOf(task), agentId);
  const states = async () => (await store.getPlan(plan.planId))?.counts;
  return { plan, agentId, a, b, ab, abc, alone, attemptOf, finish, states };
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

describe("plans that are locked, more than there are lanes", () => {
  const patience = patienceOf();
  const finish = ({ first, agentId }: Awaited<ReturnType<typeof desk.start>>) => {
    const result = desk.resultOf(first, agentId);
    return store.finishAttempt(result, () => succeed(result), patience);
  };

  /** The first three have lanes of their own; the others share one, where they were refused once. */
  async function lockPlans(count: number) {
    const started = await Promise.all(Array.from({ length: count }, () => desk.start()));
    const unlocks = await Promise.all(started.map(({ plan }) => lock("plans", "plan_id", plan.planId)));
    const [inLanes, shared] = [started.slice(0, 3), started.slice(3)];
    patience.wasLocked = 0;
    const answers = inLanes.map(finish);
    await waitFor(() => patience.wasLocked === 3);
    const refused = await Promise.allSettled(shared.map(finish));
    expect(refused.map(kindOf)).toEqual(shared.map(() => "conflict"));
    const end = async () => {
      for (const unlock of unlocks) await unlock();
      for (const answer of await Promise.all(answers)) expect(answer).toMatchObject({ verdict: { kind: "final" } });
    };
    return { shared, unlockShared: unlocks.slice(3), end };
  }

  it("DESIGN 5: none is held while another is waited for", async () => {
    const { shared, unlockShared, end } = await lockPlans(5);
    // Plans are locked in the order of their ids: the first one would be held.
    const ids = shared.map(({ plan }) => plan.planId);
    const freed = ids.indexOf(ids.toSorted()[0] ?? "");
    await unlockShared[freed]?.();
    const answers = Promise.allSettled(shared.map(finish));
    const isOver = answers.then(() => true);
    while (!(await Promise.race([isOver, nextTurn()]))) {
      const isWaiting = (await database.sql(waiting)).length > 3;
      if (isWaiting) expect((await store.getPlan(ids[freed] ?? ""))?.counts).toMatchObject({ succeeded: 1 });
    }
    expect((await answers).map(kindOf)).toEqual(freed === 0 ? ["written", "conflict"] : ["conflict", "written"]);
    await end();
  });

  it("DESIGN 5: one that is only busy has its turn, however busy it is", async () => {
    const { shared, unlockShared, end } = await lockPlans(4);
    const [busy] = shared;
    if (busy === undefined) throw new Error("four were started");
    const isOver = new AbortController();
    const replica = async (): Promise<void> => {
      while (!isOver.signal.aborted) {
        const rows = await other.knex.transaction();
        await rows.raw("SELECT FROM plans WHERE plan_id = ? FOR UPDATE", [busy.plan.planId]);
        await rows.raw("SELECT pg_sleep(0.04)");
        await rows.commit();
      }
    };
    const replicas = [replica(), replica()];
    await unlockShared[0]?.();
    let tries = 0;
    let answer = null;
    for (; answer === null && tries < 10; tries += 1) answer = await finish(busy).catch(() => null);
    isOver.abort();
    await Promise.all(replicas);
    expect(answer).toMatchObject({ verdict: { kind: "final" } });
    await end();
  });
});

it("the start of an attempt is written though its end, told with it, waits for what depends on it", async () => {
  const { a, ab, attemptOf, agentId, finish } = await startGraph();
  const unlock = await lock("tasks", "task_id", ab.taskId);
  try {
    const both = [store.markStarted(attemptOf(a), agentId, Date.now()), finish(a)];
    expect((await Promise.allSettled(both)).map(kindOf)).toEqual(["written", "conflict"]);
    expect((await store.getTask(a.taskId))?.state).toBe("running");
  } finally {
    await unlock();
  }
});
