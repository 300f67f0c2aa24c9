/** Somebody keeps one plan's row locked, as an open psql or a frozen replica does: the other plans are placed, and their results written. */
import { randomUUID } from "node:crypto";
import { wire } from "@headroom/contracts";
import { createDatabase, type PooledDatabase } from "@headroom/postgres";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWorld, fleetSeen, grpcOf, planOf, taskOf, waitUntil, type World } from "./harness.ts";

/** An agent that the registry knows, and no orchestrator. */
const notHeld = randomUUID();
let database: TestDatabase;
let pool: PooledDatabase;
let world: World;
let unlock: () => Promise<void> = () => Promise.resolve();

beforeAll(async () => {
  database = await createTestDatabase({ label: "orch_locked_plan" });
  pool = createDatabase({
    connection: database.connectionString,
    schema: "orchestrator",
    applicationName: "locks a plan",
    logger: silentLogger,
    ports: systemPorts,
  });
  world = await createWorld("orch_locked_plan", database.connectionString);
});
afterEach(async () => {
  await unlock();
  world.registry.remove(notHeld);
  await world.reset();
});
afterAll(async () => {
  await world.close();
  await pool.close();
  await database.drop();
});

async function lock(planId: string, table: "plans" | "tasks" | "attempts" = "plans"): Promise<void> {
  const tx = await pool.knex.transaction();
  await tx.raw(`SELECT FROM ${table} WHERE plan_id = ? FOR UPDATE`, [planId]);
  unlock = async () => {
    unlock = () => Promise.resolve();
    await tx.rollback();
  };
}

const neverPolls = { PAUSE_POLLING_INTERVAL_SECONDS: "3600" };

it("of tasks that were claimed together those of the other plan start, and the room is given back", async () => {
  const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "1", HEADROOM_CLAIM_LEASE_SECONDS: "4" });
  const locked = await running.plans.dispatchPlan(planOf(2));
  const other = await running.plans.dispatchPlan(planOf(2));
  await lock(locked.planId);
  const agent = await world.agent(running, { cores: 16 });
  await waitUntil(() => agent.running.size === 2);
  expect([...agent.running.values()].map(({ planId }) => planId)).toEqual([other.planId, other.planId]);
  await waitUntil(() => world.registry.held.size === 2);
  const told = running.logger.records.filter(({ message }) => message.startsWith("nothing can be written of a plan"));
  expect(told.map(({ fields }) => fields["plan_id"])).toEqual([locked.planId]);
  await unlock();
  await waitUntil(() => agent.running.size === 4);
});

it("its tasks that stand before others of the same shape are passed by, and start without a poll when it is free", async () => {
  const running = await world.start({ ...neverPolls, HEADROOM_CLAIM_LEASE_SECONDS: "3" });
  const locked = await running.plans.dispatchPlan(planOf(40));
  const other = await running.plans.dispatchPlan(planOf(4));
  await lock(locked.planId);
  const agent = await world.agent(running, { cores: 4 });
  await waitUntil(() => agent.running.size === 4);
  expect(new Set([...agent.running.values()].map(({ planId }) => planId))).toEqual(new Set([other.planId]));
  const fences = await database.sql<{ fence: number }>(
    "SELECT fence FROM orchestrator.tasks WHERE plan_id = $1 AND fence > 0",
    [locked.planId],
  );
  // Those of the first claim, which found it locked.
  expect(fences.length).toBeLessThanOrEqual(4);
  await unlock();
  for (const [attemptId] of [...agent.running]) agent.finish(attemptId);
  await waitUntil(() => [...agent.running.values()].filter(({ planId }) => planId === locked.planId).length === 4);
});

it("what a pass has claimed of it starts when its claim ends, without a poll, though the lock is gone long before", async () => {
  const running = await world.start({ ...neverPolls, HEADROOM_CLAIM_LEASE_SECONDS: "5" });
  const locked = await running.plans.dispatchPlan(planOf(1));
  await lock(locked.planId);
  const agent = await world.agent(running, { cores: 1 });
  const [task] = locked.tasks;
  await waitUntil(async () => {
    const rows = await database.sql("SELECT 1 FROM orchestrator.tasks WHERE task_id = $1 AND fence > 0", [
      task?.taskId,
    ]);
    return rows.length === 1;
  });
  // Longer than a pass waits for a lock.
  await waitUntil(() =>
    running.logger.records.some(({ message }) => message.startsWith("nothing can be written of a plan")),
  );
  await unlock();
  await waitUntil(() => agent.running.size === 1);
});

it("what could not be placed when its plan was accepted starts when its claim ends, without a poll", async () => {
  const running = await world.start({ ...neverPolls, HEADROOM_CLAIM_LEASE_SECONDS: "3" });
  const agent = await world.agent(running, { cores: 16 });
  await fleetSeen(running, 1);
  world.registry.onReserve(async () => {
    world.registry.onReserve(null);
    const [plan] = await database.sql<{ plan_id: string }>("SELECT plan_id FROM orchestrator.plans");
    await lock(plan?.plan_id ?? "");
  });
  const { tasks } = await running.plans.dispatchPlan(planOf(1));
  expect(tasks.map(({ state }) => state)).toEqual([wire.TaskState.TASK_STATE_PENDING]);
  await unlock();
  await waitUntil(() => agent.running.size === 1);
});

it("results of the other plan are acknowledged while those of the locked one wait, and none is refused", async () => {
  const running = await world.start(neverPolls);
  const agent = await world.agent(running, { cores: 16 });
  await fleetSeen(running, 1);
  const locked = await running.plans.dispatchPlan(planOf(4));
  const other = await running.plans.dispatchPlan(planOf(2));
  await waitUntil(async () => {
    const { tasks } = await running.plans.listTasks(wire.ListTasksRequest.fromPartial({}));
    return tasks.length === 6 && tasks.every(({ state }) => state === wire.TaskState.TASK_STATE_RUNNING);
  });
  const attemptsOf = (planId: string): string[] =>
    [...agent.running].flatMap(([attemptId, given]) => (given.planId === planId ? attemptId : []));
  const [lockedAttempts, [first = "", second = ""]] = [attemptsOf(locked.planId), attemptsOf(other.planId)];
  await lock(locked.planId);
  for (const attemptId of [...lockedAttempts.slice(0, 3), first]) agent.finish(attemptId);
  await waitUntil(() => agent.acks.has(first));
  // Nobody waits for the locked plan a second time.
  for (const attemptId of [...lockedAttempts.slice(3), second]) agent.finish(attemptId);
  await waitUntil(() => agent.acks.has(second));
  expect(agent.acks.size).toBe(2);
  await unlock();
  await waitUntil(() => agent.acks.size === 6);
  expect([...agent.acks.values()].some(({ refused }) => refused)).toBe(false);
  expect(agent.closes).toEqual([]);
});

it("DESIGN 5: what its agent says of it waits, and costs the agent neither its stream nor the leases and results of other plans", async () => {
  const running = await world.start(neverPolls);
  const isOfLocked = (name: string): boolean => name.startsWith("locked");
  const agent = await world.agent(
    running,
    { cores: 16 },
    { answer: ({ taskName }) => (isOfLocked(taskName) ? null : { accepted: true }) },
  );
  await fleetSeen(running, 1);
  const locked = await running.plans.dispatchPlan(planOf(1, {}, { name: "locked" }));
  const attempt = await waitUntil(() => agent.given.find(({ taskName }) => isOfLocked(taskName)));
  const { attemptId } = attempt;
  await lock(locked.planId);
  const sinceMs = Date.now();
  agent.accept(attemptId);
  /** Something of another plan is done from its beginning to its end, and both leases are renewed. */
  const othersGoOn = async (): Promise<void> => {
    const { tasks } = await running.plans.dispatchPlan(planOf(1));
    const { taskId = "" } = tasks[0] ?? {};
    const other = await waitUntil(() => [...agent.running.values()].find((given) => given.taskId === taskId));
    const before = agent.renewed();
    agent.renew();
    await waitUntil(() => agent.renewed() !== before);
    expect(new Set(agent.renewed())).toEqual(new Set([attemptId, other.attemptId]));
    agent.finish(other.attemptId);
    await waitUntil(() => agent.acks.get(other.attemptId)?.refused === false);
  };
  // A group waits 2 s for a lock, a session 10 s.
  while (Date.now() < sinceMs + 14_000) await othersGoOn();
  expect(agent.closes).toEqual([]);

  agent.disconnect();
  agent.connect(grpcOf(running));
  await waitUntil(() => agent.welcomed());
  await othersGoOn();
  agent.finish(attemptId);
  expect(agent.acks.has(attemptId)).toBe(false);
  await unlock();
  await waitUntil(() => agent.acks.get(attemptId)?.refused === false);
  expect(await taskOf(running, attempt.taskId)).toMatchObject({
    state: wire.TaskState.TASK_STATE_SUCCEEDED,
    attempts: [{ attemptId }],
  });
  expect(agent.given.filter(({ taskName }) => isOfLocked(taskName))).toHaveLength(1);
  // That it went away itself.
  expect([agent.unwanted.size, agent.closes.map((error) => error?.reason)]).toEqual([0, ["CHANNEL_CLOSED"]]);
}, 90_000);

it("DESIGN 5: attempts that are locked themselves are neither renewed nor unwanted, and the leases of the others are renewed", async () => {
  const running = await world.start(neverPolls);
  const agent = await world.agent(running, { cores: 16 });
  await fleetSeen(running, 1);
  const locked = await running.plans.dispatchPlan(planOf(3));
  await running.plans.dispatchPlan(planOf(2));
  await waitUntil(async () => {
    const { tasks } = await running.plans.listTasks(wire.ListTasksRequest.fromPartial({}));
    return tasks.length === 5 && tasks.every(({ state }) => state === wire.TaskState.TASK_STATE_RUNNING);
  });
  await lock(locked.planId, "attempts");
  const others = [...agent.running.values()].flatMap((given) =>
    given.planId === locked.planId ? [] : given.attemptId,
  );
  for (let renewal = 0; renewal < 3; renewal += 1) {
    const before = agent.renewed();
    agent.renew();
    await waitUntil(() => agent.renewed() !== before);
    expect(agent.renewed().toSorted()).toEqual(others.toSorted());
  }
  await unlock();
  agent.renew();
  await waitUntil(() => agent.renewed().length === 5);
  expect([agent.unwanted.size, agent.closes]).toEqual([0, []]);
});

it("calls about it say so, however many there are, and those about another plan are answered meanwhile", async () => {
  const running = await world.start(neverPolls);
  const [locked, other] = await Promise.all([
    running.plans.dispatchPlan(planOf(2)),
    running.plans.dispatchPlan(planOf(2)),
  ]);
  const { planId } = locked;
  await lock(planId);
  const reason = "test";
  const calls = [
    ...Array.from({ length: 20 }, () => running.plans.cancelPlan({ planId, reason })),
    running.plans.cancelTask({ taskId: locked.tasks[0]?.taskId ?? "", reason }),
    running.plans.holdPlan({ planId, reason, heldBy: "" }),
    running.plans.releasePlan({ planId, reason, releasedBy: "" }),
    running.plans.retryPlan(wire.RetryPlanRequest.fromPartial({ planId, reason })),
  ];
  const refused = Promise.allSettled(calls);
  const cancelled = await running.plans.cancelPlan({ planId: other.planId, reason });
  expect(cancelled.plan?.status).toBe(wire.PlanStatus.PLAN_STATUS_CANCELLED);
  for (const call of await refused) {
    expect(call).toMatchObject({ status: "rejected", reason: { reason: "PLAN_LOCKED", retryAfterMs: 1_000 } });
  }
  await unlock();
  expect((await running.plans.cancelPlan({ planId, reason })).plan?.status).toBe(wire.PlanStatus.PLAN_STATUS_CANCELLED);
});

it("what has waited too long fails while another such plan is locked", async () => {
  const running = await world.start(neverPolls);
  const tooLarge = (tasks: number) => planOf(tasks, { cpuCores: 64 }, { waitTimeout: { seconds: 3, nanos: 0 } });
  // More of them than are looked for at once.
  const locked = await running.plans.dispatchPlan(tooLarge(501));
  await lock(locked.planId);
  const other = await running.plans.dispatchPlan(tooLarge(1));
  const isOver = async (planId: string): Promise<boolean> =>
    (await running.plans.getPlan({ planId })).plan?.status === wire.PlanStatus.PLAN_STATUS_FAILED;
  await waitUntil(() => isOver(other.planId));
  expect(await isOver(locked.planId)).toBe(false);
  const told = () => running.logger.records.filter(({ message }) => message.startsWith("of a plan nothing can be"));
  await waitUntil(() => told().length > 0);
  expect(told()[0]).toMatchObject({ level: "warn", fields: { plan_id: locked.planId } });
  await unlock();
  await waitUntil(() => isOver(locked.planId));
});

describe.each(["plans", "tasks"] as const)("DESIGN 5: with its rows of %s locked", (table) => {
  it("its lost attempts keep back no others that are lost, nor what was not delivered, and follow when it is free", async () => {
    const running = await world.start({ ...neverPolls, PAUSE_CAPACITY_THRESHOLD_PERCENT: "0" });
    await world.agent(running, { cores: 502 });
    await fleetSeen(running, 1);
    // More of them than are looked for at once.
    const locked = await running.plans.dispatchPlan(planOf(501));
    const other = await running.plans.dispatchPlan(planOf(1));
    const attemptsIn = async (state: string, planId: string): Promise<number> => {
      const text = "SELECT FROM orchestrator.attempts WHERE state = $1 AND plan_id = $2";
      return (await database.sql(text, [state, planId])).length;
    };
    const runs = async () =>
      (await attemptsIn("running", locked.planId)) === 501 && (await attemptsIn("running", other.planId)) === 1;
    await waitUntil(runs);
    await lock(locked.planId, table);
    await database.sql(
      `UPDATE orchestrator.attempts
          SET lease_expires_at = now() - CASE WHEN plan_id = $1 THEN interval '1 hour' ELSE interval '1 minute' END`,
      [locked.planId],
    );
    await waitUntil(async () => (await attemptsIn("lost", other.planId)) === 1);
    // Nobody holds this one, so that it is sent nothing.
    world.registry.set(notHeld, { cores: 2 });
    const unsent = await running.plans.dispatchPlan(planOf(1, { cpuCores: 2 }));
    await waitUntil(async () => (await attemptsIn("undelivered", unsent.planId)) === 1);
    expect(await attemptsIn("lost", locked.planId)).toBe(0);
    await unlock();
    await waitUntil(async () => (await attemptsIn("lost", locked.planId)) > 0);
  }, 90_000);
});

it("a task that falls due while its row is locked is looked for now and then, and not all the time", async () => {
  const running = await world.start(neverPolls);
  const agent = await world.agent(running, { cores: 16 });
  await fleetSeen(running, 1);
  const dueAt = Date.now() + 1_500;
  const resumeAfter = { seconds: Math.floor(dueAt / 1_000), nanos: (dueAt % 1_000) * 1e6 };
  const { tasks } = await running.plans.dispatchPlan(planOf(1, {}, { resumeAfter }));
  const tx = await pool.knex.transaction();
  await tx.raw("SELECT FROM pause_queue WHERE task_id = ? FOR UPDATE", [tasks[0]?.taskId ?? ""]);
  const passes = async (): Promise<number> => {
    const { body } = await running.metrics.render();
    const counts = [...body.matchAll(/^headroom_resume_passes_total\{.*\} (\d+)$/gm)];
    return counts.reduce((sum, [, count]) => sum + Number(count), 0);
  };
  await waitUntil(() => Date.now() > dueAt);
  const before = await passes();
  await waitUntil(() => Date.now() > dueAt + 2_000);
  const looks = (await passes()) - before;
  expect(looks).toBeGreaterThan(0);
  expect(looks).toBeLessThan(20);
  await tx.rollback();
  await waitUntil(() => agent.running.size === 1);
});
