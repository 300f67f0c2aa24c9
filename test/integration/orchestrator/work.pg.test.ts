import { randomUUID } from "node:crypto";
import { wire } from "@headroom/contracts";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWorld, dispatchOne, fleetSeen, grpcOf, planOf, taskOf, waitUntil, type World } from "./harness.ts";

const { PlanStatus, TaskState, AttemptState } = wire;
let world: World;

beforeAll(async () => {
  world = await createWorld("orch_work");
});
afterEach(() => world.reset());
afterAll(() => world.close());

describe("attach", () => {
  it("the first message must be hello; a newer stream of the agent ends the older one", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 });
    agent.connect(grpcOf(running));
    await waitUntil(() => agent.closes.length === 1);
    expect(agent.closes[0]).toMatchObject({ code: "ABORTED", reason: "SUPERSEDED" });
  });

  it("an assignment that never arrived is sent again after a reconnect, as the same attempt", async () => {
    const running = await world.start();
    let deaf = true;
    const agent = await world.agent(running, { cores: 4 }, { answer: () => (deaf ? null : { accepted: true }) });
    await fleetSeen(running, 1);
    const { taskId } = await dispatchOne(running);
    await waitUntil(() => agent.given.length > 0);
    agent.disconnect();
    deaf = false;
    agent.connect(grpcOf(running));
    await waitUntil(() => agent.running.size === 1);
    expect(new Set(agent.given.map((given) => given.attemptId)).size).toBe(1);
    await waitUntil(async () => (await taskOf(running, taskId)).state === TaskState.TASK_STATE_RUNNING);
    expect((await taskOf(running, taskId)).attempts).toHaveLength(1);
  });

  it("the journal is the answer: an attempt in the hello whose answer was lost is running", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 }, { answer: () => null });
    await fleetSeen(running, 1);
    const { taskId } = await dispatchOne(running);
    const given = await waitUntil(() => agent.given[0]);
    agent.disconnect();
    // The agent had journalled it when the connection went.
    (agent.running as Map<string, typeof given>).set(given.attemptId, given);
    agent.connect(grpcOf(running));
    await waitUntil(async () => (await taskOf(running, taskId)).state === TaskState.TASK_STATE_RUNNING);
  });

  it("an attempt that nobody knows is unwanted; its result is refused and acknowledged", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 });
    agent.disconnect();
    const unknown = "99999999-1111-4111-8111-999999999999";
    const given = wire.Assignment.fromPartial({ attemptId: unknown, fence: 3 });
    (agent.running as Map<string, typeof given>).set(unknown, given);
    agent.connect(grpcOf(running));
    await waitUntil(() => agent.unwanted.has(unknown));
    agent.finish(unknown);
    expect(await waitUntil(() => agent.acks.get(unknown))).toEqual({ refused: true });
  });

  it("results wait at the agent while the orchestrator is away, and count once", async () => {
    const first = await world.start();
    const agent = await world.agent(first, { cores: 4 });
    await fleetSeen(first, 1);
    const { planId } = await dispatchOne(first);
    const given = await waitUntil(() => [...agent.running.values()][0]);
    await waitUntil(async () => (await first.plans.getPlan({ planId })).plan?.counts?.running === 1);
    await first.stop();
    expect(agent.reconnects()).toBe(1);
    const second = await world.start();
    agent.connect(grpcOf(second));
    await waitUntil(() => agent.welcomed());
    agent.finish(given.attemptId);
    await waitUntil(
      async () => (await second.plans.getPlan({ planId })).plan?.status === PlanStatus.PLAN_STATUS_SUCCEEDED,
    );
    // The acknowledgement may have been lost: the agent says it again.
    agent.finish(given.attemptId);
    await waitUntil(() => agent.acks.has(given.attemptId));
    expect(agent.acks.get(given.attemptId)).toEqual({ refused: false });
    const events = await world.sql<{ n: number }>(
      "SELECT count(*)::int AS n FROM orchestrator.events WHERE kind = 'TASK_SUCCEEDED'",
    );
    expect(events).toEqual([{ n: 1 }]);
  });
});

describe("the room of an attempt", () => {
  it("DESIGN-5: is given back when its agent says that it has ended, and need not wait for the commit of its result", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const { planId } = await dispatchOne(running);
    const { attemptId } = await waitUntil(() => [...agent.running.values()][0]);
    await waitUntil(async () => (await running.plans.getPlan({ planId })).plan?.counts?.running === 1);
    await world.sql("CREATE TABLE may_go_on ()");
    const held = world.sql(`DO $$ BEGIN
      PERFORM FROM orchestrator.plans FOR UPDATE;
      WHILE NOT EXISTS (SELECT FROM may_go_on) LOOP PERFORM pg_sleep(0.01); END LOOP;
    END $$`);
    await waitUntil(
      async () => (await world.sql("SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'")).length > 0,
    );
    const before = world.registry.releases();
    agent.finish(attemptId);
    await waitUntil(() => world.registry.held.size === 0);
    expect(agent.acks.has(attemptId)).toBe(false);
    await world.sql("INSERT INTO may_go_on DEFAULT VALUES");
    await held;
    await waitUntil(
      async () => (await running.plans.getPlan({ planId })).plan?.status === PlanStatus.PLAN_STATUS_SUCCEEDED,
    );
    expect(agent.acks.get(attemptId)).toEqual({ refused: false });
    // Once is enough.
    expect(world.registry.releases()).toBe(before + 1);
    await world.sql("DROP TABLE may_go_on");
  });

  it("DESIGN-5: is not given back by what an agent says of an attempt that was never sent to it", async () => {
    const running = await world.start();
    const owner = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    await dispatchOne(running);
    const given = await waitUntil(() => [...owner.running.values()][0]);
    const { attemptId } = given;
    const before = world.registry.releases();
    const liar = await world.agent(running, { cores: 4 });
    (liar.running as Map<string, typeof given>).set(attemptId, given);
    liar.finish(attemptId);
    await waitUntil(() => liar.acks.has(attemptId));
    expect(world.registry.held.size).toBe(1);
    expect(world.registry.releases()).toBe(before);
  });
});

describe("delivery", () => {
  it("R-PAUSE-9: an agent that refuses is avoided, and the task goes to another", async () => {
    const running = await world.start();
    const refusing = await world.agent(
      running,
      { cores: 4 },
      { answer: () => ({ accepted: false, reason: "OWNER_HOLD" }) },
    );
    await fleetSeen(running, 1);
    const { taskId } = await dispatchOne(running);
    await waitUntil(async () => (await taskOf(running, taskId)).pause !== undefined);
    const paused = await taskOf(running, taskId);
    expect(paused.attempts[0]?.state).toBe(AttemptState.ATTEMPT_STATE_UNDELIVERED);
    const willing = await world.agent(running, { cores: 4 });
    await waitUntil(() => willing.running.size === 1);
    expect(refusing.given).toHaveLength(1);
    const now = await taskOf(running, taskId);
    expect(now.attempts).toHaveLength(2);
    expect(world.registry.held.size).toBe(1);
  });

  it("an assignment to an agent that nobody holds is taken back after 5 s and placed elsewhere", async () => {
    const running = await world.start();
    world.registry.set("0e6cf1a8-6f7c-4ce6-a1fb-6fb8b8c40001", { cores: 4 });
    await fleetSeen(running, 1);
    const { taskId } = await dispatchOne(running);
    expect((await taskOf(running, taskId)).state).toBe(TaskState.TASK_STATE_ASSIGNED);
    const waiting = await waitUntil(async () => {
      const now = await taskOf(running, taskId);
      return now.state === TaskState.TASK_STATE_PAUSED ? now : null;
    });
    expect(waiting.attempts[0]).toMatchObject({ state: AttemptState.ATTEMPT_STATE_UNDELIVERED, reason: "UNDELIVERED" });
    world.registry.remove("0e6cf1a8-6f7c-4ce6-a1fb-6fb8b8c40001");
    const agent = await world.agent(running, { cores: 4 });
    await waitUntil(() => agent.running.size === 1);
  });

  it("two replicas: whoever holds the agent delivers what the other one assigned, within its poll or at once", async () => {
    const one_ = await world.start();
    const two = await world.start();
    const agent = await world.agent(two, { cores: 8 });
    await fleetSeen(one_, 1);
    const { planId } = await one_.plans.dispatchPlan(planOf(3));
    await waitUntil(() => agent.running.size === 3);
    for (const attemptId of [...agent.running.keys()]) agent.finish(attemptId);
    await waitUntil(
      async () => (await one_.plans.getPlan({ planId })).plan?.status === PlanStatus.PLAN_STATUS_SUCCEEDED,
    );
    expect(agent.given).toHaveLength(3);
  });
});

describe("leases", () => {
  it("a renewal extends the lease; an attempt that is not renewed is LOST, and a new one with a higher fence follows", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const { taskId } = await dispatchOne(running);
    const given = await waitUntil(() => [...agent.running.values()][0]);
    await waitUntil(async () => (await taskOf(running, taskId)).state === TaskState.TASK_STATE_RUNNING);
    const lease = async (): Promise<number> =>
      (await world.sql<{ at: Date }>("SELECT lease_expires_at AS at FROM orchestrator.attempts"))[0]?.at.getTime() ?? 0;
    const before = await lease();
    agent.renew();
    await waitUntil(() => agent.renewed().includes(given.attemptId));
    expect(await lease()).toBeGreaterThan(before);

    agent.disconnect();
    await world.sql("UPDATE orchestrator.attempts SET lease_expires_at = now() - interval '31 seconds'");
    const lost = await waitUntil(async () => {
      const now = await taskOf(running, taskId);
      return now.attempts.some(({ state }) => state === AttemptState.ATTEMPT_STATE_LOST) ? now : null;
    });
    expect(lost.attempts.find(({ state }) => state === AttemptState.ATTEMPT_STATE_LOST)?.attemptId).toBe(
      given.attemptId,
    );

    // Back from sleep: the old attempt is unwanted, its result refused and recorded; the new one has a higher fence.
    agent.connect(grpcOf(running));
    await waitUntil(() => agent.unwanted.has(given.attemptId));
    agent.finish(given.attemptId);
    expect(await waitUntil(() => agent.acks.get(given.attemptId))).toEqual({ refused: true });
    const next = await waitUntil(() => agent.given.find(({ attemptId }) => attemptId !== given.attemptId));
    expect(next.fence).toBeGreaterThan(given.fence);
    const refused = await world.sql<{ n: number }>(
      "SELECT count(*)::int AS n FROM orchestrator.events WHERE kind = 'TASK_RESULT_REFUSED'",
    );
    expect(refused).toEqual([{ n: 1 }]);
    await waitUntil(() => agent.running.has(next.attemptId));
    agent.finish(next.attemptId);
    await waitUntil(async () => (await taskOf(running, taskId)).state === TaskState.TASK_STATE_SUCCEEDED);
  });

  it("LOST comes no earlier than lease + 30 s: the same look that finds one attempt lost leaves another one", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const [{ taskId: lost }, { taskId: late }] = [await dispatchOne(running), await dispatchOne(running)];
    const stateOf = async (taskId: string) => (await taskOf(running, taskId)).state;
    for (const taskId of [lost, late])
      await waitUntil(async () => (await stateOf(taskId)) === TaskState.TASK_STATE_RUNNING);
    // At once, so that no look sees one of them alone. The other one is due in 8 s.
    await world.sql(
      `UPDATE orchestrator.attempts SET lease_expires_at = now() - CASE WHEN task_id = $1 THEN interval '31 seconds' ELSE interval '22 seconds' END`,
      [lost],
    );
    await waitUntil(async () => (await stateOf(lost)) !== TaskState.TASK_STATE_RUNNING);
    expect(await stateOf(late)).toBe(TaskState.TASK_STATE_RUNNING);
    agent.renew();
    await waitUntil(() => agent.renewed().length === 1);
    expect(await stateOf(late)).toBe(TaskState.TASK_STATE_RUNNING);
  });

  it("max_attempts: a task that is lost for the last time has failed", async () => {
    const running = await world.start();
    await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const { taskId } = await dispatchOne(running, { maxAttempts: 1 });
    await waitUntil(async () => (await taskOf(running, taskId)).state === TaskState.TASK_STATE_RUNNING);
    await world.sql("UPDATE orchestrator.attempts SET lease_expires_at = now() - interval '31 seconds'");
    const failed = await waitUntil(async () => {
      const now = await taskOf(running, taskId);
      return now.state === TaskState.TASK_STATE_FAILED ? now : null;
    });
    expect(failed.outcomeReason).toMatch(/run 1 of 1/);
    await waitUntil(() => world.registry.held.size === 0);
  });

  it("on_unknown_outcome hold: a lost run is not repeated by itself, but when a person asks for it", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const { taskId, planId } = await dispatchOne(running, {
      onUnknownOutcome: wire.UnknownOutcomePolicy.UNKNOWN_OUTCOME_POLICY_HOLD,
    });
    await waitUntil(async () => (await taskOf(running, taskId)).state === TaskState.TASK_STATE_RUNNING);
    await world.sql("UPDATE orchestrator.attempts SET lease_expires_at = now() - interval '31 seconds'");
    const failed = await waitUntil(async () => {
      const now = await taskOf(running, taskId);
      return now.state === TaskState.TASK_STATE_FAILED ? now : null;
    });
    expect(failed.onUnknownOutcome).toBe(wire.UnknownOutcomePolicy.UNKNOWN_OUTCOME_POLICY_HOLD);
    expect(failed.outcomeReason).toMatch(/what became of it is unknown; .*headroom plan retry/);
    expect(failed.attempts).toHaveLength(1);
    await running.plans.retryPlan({ requestId: randomUUID(), planId, reason: "looked at it" });
    const again = await waitUntil(async () => {
      const now = await taskOf(running, taskId);
      return now.state === TaskState.TASK_STATE_RUNNING ? now : null;
    });
    const [attempt] = again.attempts;
    agent.finish(attempt?.attemptId ?? "");
    await waitUntil(async () => (await taskOf(running, taskId)).state === TaskState.TASK_STATE_SUCCEEDED);
  });
});

describe("cancel", () => {
  it("waiting tasks end at once with their dependents; running ones when their agent has ended them; twice is fine", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 1 });
    await fleetSeen(running, 1);
    const { planId, tasks } = await running.plans.dispatchPlan(planOf(3));
    const given = await waitUntil(() => [...agent.running.values()][0]);
    await waitUntil(async () => (await running.plans.getPlan({ planId })).plan?.counts?.running === 1);
    const answer = await running.plans.cancelPlan({ planId, reason: "not needed" });
    expect(answer.plan).toMatchObject({ cancelRequested: true, counts: { cancelled: 2, running: 1 } });
    await waitUntil(() => agent.cancelled.has(given.attemptId));
    await running.plans.cancelPlan({ planId, reason: "" });
    agent.finish(given.attemptId, { outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED, exitCode: undefined });
    await waitUntil(
      async () => (await running.plans.getPlan({ planId })).plan?.status === PlanStatus.PLAN_STATUS_CANCELLED,
    );
    await running.plans.cancelTask({ taskId: tasks[2]?.taskId ?? "", reason: "" });
    const waiting = await world.sql("SELECT status, count(*)::int AS n FROM orchestrator.pause_queue GROUP BY status");
    expect(waiting).toEqual([{ status: "cancelled", n: 2 }]);
  });

  it("a task that has succeeded stays so: TASK_ALREADY_FINISHED", async () => {
    const running = await world.start();
    await world.agent(running, { cores: 4 }, { instant: true });
    await fleetSeen(running, 1);
    const { taskId } = await dispatchOne(running);
    await waitUntil(async () => (await taskOf(running, taskId)).state === TaskState.TASK_STATE_SUCCEEDED);
    await expect(running.plans.cancelTask({ taskId, reason: "" })).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "TASK_ALREADY_FINISHED",
    });
  });

  it("a cancelled run whose agent is lost is cancelled, not tried again", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const { taskId } = await dispatchOne(running);
    await waitUntil(async () => (await taskOf(running, taskId)).state === TaskState.TASK_STATE_RUNNING);
    await running.plans.cancelTask({ taskId, reason: "" });
    agent.disconnect();
    await world.sql("UPDATE orchestrator.attempts SET lease_expires_at = now() - interval '31 seconds'");
    await waitUntil(async () => (await taskOf(running, taskId)).state === TaskState.TASK_STATE_CANCELLED);
  });

  // Nothing but the assignment's own sending tells the agent of the cancellation in these two.
  const toldAlready = "cancel_sent_at = now() + interval '1 hour'";

  it("DESIGN 5: what was cancelled while its agent was away is sent to it only with the cancellation right behind", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 }, { answer: () => null });
    await fleetSeen(running, 1);
    const { taskId } = await dispatchOne(running);
    const { attemptId } = await waitUntil(() => agent.given[0]);
    agent.disconnect();
    await waitUntil(() => running.logger.records.some(({ message }) => message === "agent detached"));
    await running.plans.cancelTask({ taskId, reason: "" });
    await world.sql(`UPDATE orchestrator.attempts SET ${toldAlready}`);
    agent.connect(grpcOf(running));
    await waitUntil(() => agent.heard().length === 2);
    expect(agent.heard()).toEqual([`assignment ${attemptId}`, `cancel ${attemptId}`]);
    agent.finish(attemptId, { outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED, exitCode: undefined });
    await waitUntil(async () => (await taskOf(running, taskId)).state === TaskState.TASK_STATE_CANCELLED);
  });

  it("DESIGN 5: what was cancelled before it was answered is sent again only with the cancellation right behind", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 }, { answer: () => null });
    await fleetSeen(running, 1);
    const { taskId } = await dispatchOne(running);
    const { attemptId } = await waitUntil(() => agent.given[0]);
    await running.plans.cancelTask({ taskId, reason: "" });
    await waitUntil(() => agent.cancelled.has(attemptId));
    await world.sql(`UPDATE orchestrator.attempts SET ${toldAlready}, sent_at = now() - interval '11 seconds'`);
    await waitUntil(() => agent.given.length === 2 && agent.heard().at(-1) === `cancel ${attemptId}`);
    expect(agent.heard().at(-2)).toBe(`assignment ${attemptId}`);
    agent.finish(attemptId, { outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED, exitCode: undefined });
    await waitUntil(async () => (await taskOf(running, taskId)).state === TaskState.TASK_STATE_CANCELLED);
  });

  it("cancelled while it is being placed: the room goes back, nothing runs", async () => {
    const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "3600" });
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    let taskId = "";
    world.registry.onReserve(async () => {
      world.registry.onReserve(null);
      const [row] = await world.sql<{ task_id: string }>("SELECT task_id FROM orchestrator.tasks");
      taskId = row?.task_id ?? "";
      await running.plans.cancelTask({ taskId, reason: "" });
    });
    await running.plans.dispatchPlan(planOf(1));
    await waitUntil(() => world.registry.promises.size > 0 && world.registry.held.size === 0);
    expect((await taskOf(running, taskId)).state).toBe(TaskState.TASK_STATE_CANCELLED);
    expect(agent.given).toHaveLength(0);
  });
});
