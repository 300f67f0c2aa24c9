import { randomUUID } from "node:crypto";
import { wire } from "@headroom/contracts";
import { HeadroomError } from "@headroom/rpc";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWorld, fleetSeen, grpcOf, planOf, type Running, waitUntil, type World } from "./harness.ts";

const { PauseReason, PlanStatus, TaskState } = wire;
const failure = { exitCode: 1 };
/** Long enough that only events and what a test does itself start a pass. */
const neverPolls = { PAUSE_POLLING_INTERVAL_SECONDS: "3600" };
const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
let world: World;

beforeAll(async () => {
  world = await createWorld("orch_operate");
});
afterEach(() => world.reset());
afterAll(() => world.close());

const why = { reason: "disk swap", heldBy: "ana@desk-7" };
const planAt = async (running: Running, planId: string): Promise<wire.Plan> =>
  (await running.plans.getPlan({ planId })).plan ?? wire.Plan.create();
const events = async (running: Running, planId: string): Promise<wire.PlanEvent[]> =>
  (await running.plans.listPlanEvents(wire.ListPlanEventsRequest.fromPartial({ planId, pageSize: 1_000 }))).events;
const errorOf = async (call: Promise<unknown>): Promise<HeadroomError> => {
  const thrown: unknown = await call.then(
    () => new Error("it did not fail"),
    (error: unknown) => error,
  );
  if (thrown instanceof HeadroomError) return thrown;
  throw thrown;
};

describe("hold and release of a plan", () => {
  it("keeps its waiting tasks from starting, new attempts and met dependencies included, until it is released", async () => {
    const running = await world.start(neverPolls);
    const agent = await world.agent(running, { cores: 2 });
    await fleetSeen(running, 1);
    const request = planOf(3);
    const [, second, third] = request.plan?.tasks ?? [];
    if (second === undefined || third === undefined) throw new Error("the plan has three tasks");
    second.dependsOn = ["task-1"];
    third.needs = wire.ResourceNeeds.fromPartial({ cpuCores: 2 });
    const { planId } = await running.plans.dispatchPlan(request);
    const [first] = await waitUntil(() => (agent.running.size === 1 ? [...agent.running.values()] : null));
    if (first === undefined) throw new Error("nothing runs");
    await waitUntil(async () => (await planAt(running, planId)).counts?.running === 1);

    const held = await running.plans.holdPlan({ planId, ...why }, { requestId: "call-1", traceparent: trace });
    expect(held).toMatchObject({ heldTasks: 1, plan: { hold: why, counts: { running: 1, paused: 2 } } });
    // Room for the third, and the second may start: neither does.
    agent.finish(first.attemptId);
    const plan = await waitUntil(async () => {
      const now = await planAt(running, planId);
      return now.counts?.succeeded === 1 ? now : null;
    });
    expect(plan.tasks.slice(1).map((task) => [task.state, task.pause?.reason])).toEqual([
      [TaskState.TASK_STATE_PAUSED, PauseReason.PAUSE_REASON_HELD],
      [TaskState.TASK_STATE_PAUSED, PauseReason.PAUSE_REASON_HELD],
    ]);
    expect(plan.tasks[2]?.pause?.sentence).toBe("Its plan is held by ana@desk-7: disk swap");
    expect(await running.queue.resumePausedWork({ planId: "" })).toEqual({ resumedTasks: 0, waitingTasks: 2 });
    const explained = await running.plans.explainTask({ taskId: plan.tasks[2]?.taskId ?? "", maxAgents: 0 });
    expect(explained).toMatchObject({ hold: why, queuePosition: 0 });

    const released = await running.plans.releasePlan({ planId, reason: "done", releasedBy: "ben" });
    expect(released).toMatchObject({ releasedTasks: 2, plan: { hold: undefined } });
    await waitUntil(() => agent.given.length === 2);
    const told = (await events(running, planId)).filter(({ kind }) => /^PLAN_(HELD|RELEASED)|^TASK_HELD/.test(kind));
    expect(
      told.map(({ kind, sentence, actor, requestId, traceparent }) => [kind, sentence, actor, requestId, traceparent]),
    ).toEqual([
      ["PLAN_HELD", "held by ana@desk-7: disk swap", "operator", "call-1", trace],
      ["TASK_HELD", "held by ana@desk-7: disk swap", "operator", "call-1", trace],
      ["PLAN_RELEASED", "released by ben: done", "operator", expect.any(String), ""],
    ]);
  });

  it("a plan that is being placed at that very moment is held: the room goes back, nothing of it runs", async () => {
    const running = await world.start(neverPolls);
    const agent = await world.agent(running, { cores: 2 });
    await fleetSeen(running, 1);
    let planId = "";
    world.registry.onReserve(async () => {
      world.registry.onReserve(null);
      const [row] = await world.sql<{ plan_id: string }>("SELECT plan_id FROM orchestrator.plans");
      planId = row?.plan_id ?? "";
      await running.plans.holdPlan({ planId, ...why });
    });
    const answer = await running.plans.dispatchPlan(planOf(1));
    expect(await planAt(running, answer.planId)).toMatchObject({ status: PlanStatus.PLAN_STATUS_PAUSED, hold: why });
    await waitUntil(() => world.registry.held.size === 0);
    expect(agent.given).toEqual([]);
    await running.plans.releasePlan({ planId, reason: "", releasedBy: "" });
    await waitUntil(() => agent.given.length === 1);
  });

  it("what its agent was not sent yet is taken back: the room goes back, and the agent gets none of it when it attaches again", async () => {
    const running = await world.start(neverPolls);
    const agent = await world.agent(running, { cores: 2 });
    await fleetSeen(running, 1);
    agent.disconnect();
    await waitUntil(() => running.logger.has("agent detached"));
    const { planId } = await running.plans.dispatchPlan(planOf(1));
    expect(world.registry.held.size).toBe(1);
    const { heldTasks, plan } = await running.plans.holdPlan({ planId, ...why });
    expect(heldTasks).toBe(1);
    expect(plan?.tasks[0]?.pause).toMatchObject({ reason: PauseReason.PAUSE_REASON_HELD });
    await waitUntil(() => world.registry.held.size === 0);
    agent.connect(grpcOf(running));
    await waitUntil(() => agent.welcomed());
    await running.plans.releasePlan({ planId, reason: "", releasedBy: "" });
    await waitUntil(() => agent.given.length === 1);
    expect((await planAt(running, planId)).tasks[0]?.attempts[0]?.number).toBe(2);
  });

  it("twice is fine, unknown and ended plans are told, and cancelling a held plan ends it", async () => {
    const running = await world.start(neverPolls);
    const { planId } = await running.plans.dispatchPlan(planOf(2));
    await running.plans.holdPlan({ planId, ...why });
    const again = await running.plans.holdPlan({ planId, reason: "longer", heldBy: "" });
    expect(again).toMatchObject({ heldTasks: 2, plan: { hold: { reason: "longer", heldBy: "" } } });
    const missing = { planId: randomUUID(), reason: "" };
    expect(await errorOf(running.plans.holdPlan({ ...missing, heldBy: "" }))).toMatchObject({
      reason: "PLAN_NOT_FOUND",
    });
    expect(await errorOf(running.plans.releasePlan({ ...missing, releasedBy: "" }))).toMatchObject({
      reason: "PLAN_NOT_FOUND",
    });
    const cancelled = await running.plans.cancelPlan({ planId, reason: "" });
    expect(cancelled.plan).toMatchObject({ status: PlanStatus.PLAN_STATUS_CANCELLED, hold: undefined });
    expect(await errorOf(running.plans.holdPlan({ planId, ...why }))).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "PLAN_ALREADY_FINISHED",
    });
  });
});

describe("hold and release of the queue", () => {
  it("nothing new starts on any replica, after a restart either, until it is released; what runs goes on", async () => {
    const one = await world.start(neverPolls);
    const two = await world.start(neverPolls);
    const agent = await world.agent(one, { cores: 8 });
    await fleetSeen(one, 1);
    await fleetSeen(two, 1);
    await one.plans.dispatchPlan(planOf(1));
    await waitUntil(() => agent.running.size === 1);
    await one.queue.holdQueue(why);
    await waitUntil(async () => (await two.queue.getQueueStatus({})).hold !== undefined);
    const { planId, status, tasks } = await two.plans.dispatchPlan(planOf(2));
    expect(status).toBe(PlanStatus.PLAN_STATUS_PAUSED);
    expect(tasks.map(({ pauseReason }) => pauseReason)).toEqual(Array(2).fill(PauseReason.PAUSE_REASON_HELD));
    expect(tasks[0]?.sentence).toMatch(/^The queue is held by ana@desk-7 since .*: disk swap$/);
    expect(await two.queue.checkCapacity({ needs: undefined })).toMatchObject({
      shouldPause: true,
      reason: PauseReason.PAUSE_REASON_HELD,
      agentsOnline: 1,
    });
    expect((await one.queue.resumePausedWork({ planId: "" })).resumedTasks).toBe(0);
    await two.stop();
    const three = await world.start(neverPolls);
    await fleetSeen(three, 1);
    expect((await three.queue.getQueueStatus({})).hold).toMatchObject(why);
    expect((await three.queue.resumePausedWork({ planId: "" })).resumedTasks).toBe(0);
    const taskId = tasks[0]?.taskId ?? "";
    expect(await three.plans.explainTask({ taskId, maxAgents: 0 })).toMatchObject({ hold: why });
    expect(agent.running.size).toBe(1);

    expect((await three.queue.releaseQueue({ reason: "", releasedBy: "ben" })).released).toMatchObject(why);
    await waitUntil(async () => (await planAt(one, planId)).counts?.running === 2);
    expect((await three.queue.releaseQueue({ reason: "", releasedBy: "" })).released).toBeUndefined();
    const history = await three.queue.listQueueEvents(wire.ListQueueEventsRequest.fromPartial({ pageSize: 1 }));
    expect(history.events).toMatchObject([{ kind: "QUEUE_RELEASED", by: "ben" }]);
    const older = await three.queue.listQueueEvents({ pageSize: 1, pageToken: history.nextPageToken });
    expect(older).toMatchObject({
      events: [{ kind: "QUEUE_HELD", by: why.heldBy, reason: why.reason }],
      nextPageToken: "",
    });
  });

  it("what was claimed when it was held is assigned no more", async () => {
    const running = await world.start(neverPolls);
    const agent = await world.agent(running, { cores: 2 });
    await fleetSeen(running, 1);
    world.registry.onReserve(async () => {
      world.registry.onReserve(null);
      await running.queue.holdQueue(why);
    });
    await running.plans.dispatchPlan(planOf(1));
    await waitUntil(() => world.registry.held.size === 0);
    expect(agent.given).toEqual([]);
    await running.queue.releaseQueue({ reason: "", releasedBy: "" });
    await waitUntil(() => agent.given.length === 1);
  });
});

describe("retry", () => {
  it("a request_id that is used for two plans at once is used for one of them", async () => {
    const running = await world.start(neverPolls);
    const plans = await Promise.all([1, 2].map(() => running.plans.dispatchPlan(planOf(1))));
    const requestId = randomUUID();
    const answers = await Promise.allSettled(
      plans.map(({ planId }) => running.plans.retryPlan({ planId, requestId, reason: "" })),
    );
    const refused = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason as unknown] : []));
    expect(refused).toMatchObject([{ code: "ALREADY_EXISTS", reason: "REQUEST_ID_REUSED" }]);
  });

  it("what failed runs again with all attempts anew, what was cancelled because of it is back, what was asked away is not", async () => {
    const running = await world.start(neverPolls);
    const agent = await world.agent(running, { cores: 8 });
    await fleetSeen(running, 1);
    const request = planOf(4);
    for (const [index, task] of (request.plan?.tasks ?? []).entries()) {
      task.maxAttempts = 1;
      if (index > 0) task.dependsOn = ["task-1"];
    }
    const { planId, tasks } = await running.plans.dispatchPlan(request);
    await running.plans.cancelTask({ taskId: tasks[3]?.taskId ?? "", reason: "not needed" });
    const [first] = await waitUntil(() => (agent.running.size === 1 ? [...agent.running.values()] : null));
    agent.finish(first?.attemptId ?? "", failure);
    await waitUntil(async () => (await planAt(running, planId)).status === PlanStatus.PLAN_STATUS_FAILED);
    const before = await planAt(running, planId);
    expect(before.tasks.map(({ outcomeCode }) => outcomeCode)).toEqual([
      "",
      "DEPENDENCY_NOT_MET",
      "DEPENDENCY_NOT_MET",
      "",
    ]);

    const requestId = randomUUID();
    const retried = await running.plans.retryPlan({ requestId, planId, reason: "the disk is there again" });
    expect(retried).toMatchObject({ retriedTasks: 1, restoredTasks: 2, duplicate: false });
    const again = await running.plans.retryPlan({ requestId, planId, reason: "" });
    expect(again).toMatchObject({ retriedTasks: 1, restoredTasks: 2, duplicate: true });
    const other = await running.plans.dispatchPlan(planOf(1));
    expect(await errorOf(running.plans.retryPlan({ requestId, planId: other.planId, reason: "" }))).toMatchObject({
      code: "ALREADY_EXISTS",
      reason: "REQUEST_ID_REUSED",
    });
    for (;;) {
      for (const attemptId of agent.running.keys()) agent.finish(attemptId);
      const plan = await planAt(running, planId);
      if (plan.finishedAt !== undefined) break;
      await waitUntil(async () => agent.running.size > 0 || (await planAt(running, planId)).finishedAt !== undefined);
    }
    const after = await planAt(running, planId);
    expect(after.counts).toMatchObject({ succeeded: 3, cancelled: 1, failed: 0 });
    expect(after.tasks[0]?.attempts[0]).toMatchObject({ number: 2 });
    const kinds = (await events(running, planId)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => /RETR|RESTORED|^PLAN_/.test(kind))).toEqual([
      "PLAN_ACCEPTED",
      "PLAN_FAILED",
      "PLAN_RETRY_REQUESTED",
      "TASK_RETRIED",
      "TASK_RESTORED",
      "TASK_RESTORED",
      "PLAN_CANCELLED",
    ]);
    expect(await running.plans.retryPlan({ requestId: "", planId, reason: "" })).toMatchObject({ retriedTasks: 0 });
    const [row] = await world.sql("SELECT unfinished_tasks FROM orchestrator.plans WHERE plan_id = $1", [planId]);
    expect(row).toEqual({ unfinished_tasks: 0 });
  });
});

describe("wait_timeout", () => {
  const waiting = (seconds: number) => planOf(2, { cpuCores: 64 }, { waitTimeout: { seconds, nanos: 0 } });

  it("a task that waits longer fails with WAIT_TIMED_OUT, and what depends on it is cancelled", async () => {
    const running = await world.start();
    await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const request = waiting(1);
    const second = request.plan?.tasks[1];
    if (second !== undefined) second.dependsOn = ["task-1"];
    const { planId } = await running.plans.dispatchPlan(request);
    const plan = await waitUntil(async () => {
      const now = await planAt(running, planId);
      return now.finishedAt === undefined ? null : now;
    });
    expect(plan.status).toBe(PlanStatus.PLAN_STATUS_FAILED);
    expect(plan.tasks).toMatchObject([
      { state: TaskState.TASK_STATE_FAILED, outcomeCode: "WAIT_TIMED_OUT", waitTimeout: { seconds: 1 } },
      { state: TaskState.TASK_STATE_CANCELLED, outcomeCode: "DEPENDENCY_NOT_MET" },
    ]);
    expect(plan.tasks[0]?.outcomeReason).toMatch(/^it waited longer than its wait_timeout of 1 s \(/);
    expect((await events(running, planId)).map(({ kind }) => kind)).toContain("TASK_WAIT_TIMED_OUT");
    const rows = await world.sql("SELECT status FROM orchestrator.pause_queue ORDER BY status");
    expect(rows).toEqual([{ status: "cancelled" }, { status: "failed" }]);
  });

  it("time under a hold, of the plan or of the queue, and before the dependencies are met does not count", async () => {
    const running = await world.start();
    const deadlines = () =>
      world.sql<{ name: string; left: number | null }>(
        `SELECT t.name, extract(epoch FROM q.wait_deadline - clock_timestamp())::float8 AS left
           FROM orchestrator.pause_queue q JOIN orchestrator.tasks t USING (task_id) WHERE q.status = 'waiting' ORDER BY t.name`,
      );
    /** Done by a loop, whatever is due. */
    const putOff = () => waitUntil(async () => (await world.sql("SELECT FROM orchestrator.queue_hold")).length === 0);
    const request = waiting(3_600);
    const second = request.plan?.tasks[1];
    if (second !== undefined) second.dependsOn = ["task-1"];
    const { planId } = await running.plans.dispatchPlan(request);
    const [first, dependent] = await deadlines();
    expect(first?.left).toBeGreaterThan(3_500);
    expect(dependent?.left).toBeNull();
    await running.plans.holdPlan({ planId, ...why });
    expect((await deadlines())[0]?.left).toBeNull();
    await running.plans.releasePlan({ planId, reason: "", releasedBy: "" });
    expect((await deadlines())[0]?.left).toBeGreaterThan(3_500);

    await running.queue.holdQueue(why);
    // As if its hour had begun two and a half hours ago, two of them held: it is not failed, and the two hours are given back.
    await world.sql(
      "UPDATE orchestrator.pause_queue SET wait_deadline = now() - interval '90 minutes', paused_at = now() - interval '150 minutes' WHERE wait_deadline IS NOT NULL",
    );
    await world.sql("UPDATE orchestrator.queue_hold SET held_at = now() - interval '2 hours'");
    await waitUntil(async () => (await running.queue.getQueueStatus({})).hold !== undefined);
    expect((await planAt(running, planId)).counts).toMatchObject({ paused: 2 });
    await running.queue.releaseQueue({ reason: "", releasedBy: "" });
    await putOff();
    const left = (await deadlines())[0]?.left;
    expect(left).toBeGreaterThan(1_700);
    expect(left).toBeLessThan(1_810);

    // Its hour began half an hour ago, while the queue was held already, however long the task had been in the queue: only that is given back.
    await running.queue.holdQueue(why);
    await world.sql("UPDATE orchestrator.queue_hold SET held_at = now() - interval '2 hours'");
    await world.sql(
      "UPDATE orchestrator.pause_queue SET wait_deadline = now() + interval '30 minutes', paused_at = now() - interval '3 hours' WHERE wait_deadline IS NOT NULL",
    );
    await waitUntil(async () => (await running.queue.getQueueStatus({})).hold !== undefined);
    await running.queue.releaseQueue({ reason: "", releasedBy: "" });
    await putOff();
    expect(Math.abs(((await deadlines())[0]?.left ?? 0) - 3_600)).toBeLessThan(60);
  });
});

describe("history", () => {
  it("names the call and the trace, pages, filters by task, and a watch goes on from any event", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 8 }, { instant: true });
    await fleetSeen(running, 1);
    const { planId, tasks } = await running.plans.dispatchPlan(planOf(2), { requestId: "call-9", traceparent: trace });
    await waitUntil(async () => (await planAt(running, planId)).finishedAt !== undefined);
    expect(agent.given).toHaveLength(2);
    const all = await events(running, planId);
    expect(all[0]).toMatchObject({ kind: "PLAN_ACCEPTED", requestId: "call-9", traceparent: trace, actor: "planner" });
    expect((await planAt(running, planId)).traceparent).toBe(trace);
    // The call has placed them itself.
    const placed = all.filter(({ kind }) => kind === "TASK_ASSIGNED" || kind === "TASK_PAUSED");
    expect(placed.length).toBeGreaterThanOrEqual(2);
    for (const event of placed) {
      expect(event).toMatchObject({ actor: "planner", requestId: "call-9", traceparent: trace });
    }
    const first = await running.plans.listPlanEvents({ planId, taskId: "", pageSize: 3, pageToken: "" });
    const rest = await running.plans.listPlanEvents({
      planId,
      taskId: "",
      pageSize: 1_000,
      pageToken: first.nextPageToken,
    });
    expect([...first.events, ...rest.events]).toEqual(all);
    const taskId = tasks[0]?.taskId ?? "";
    const ofTask = await running.plans.listPlanEvents(wire.ListPlanEventsRequest.fromPartial({ planId, taskId }));
    expect(ofTask.events).toEqual(all.filter((event) => event.taskId === taskId));

    const seen: number[] = [];
    const afterEventId = all[2]?.eventId ?? 0;
    for await (const { event } of running.plans.watchPlan({ planId, afterEventId })) seen.push(event?.eventId ?? 0);
    expect(seen).toEqual(all.slice(3).map(({ eventId }) => eventId));
  });

  it("retention deletes old events and ended plans; whoever watches from before is told where to begin", async () => {
    const running = await world.start();
    await world.agent(running, { cores: 8 }, { instant: true });
    await fleetSeen(running, 1);
    const gone = await running.plans.dispatchPlan(planOf(2));
    const kept = await running.plans.dispatchPlan(planOf(1, { cpuCores: 64 }));
    await waitUntil(async () => (await planAt(running, gone.planId)).finishedAt !== undefined);
    const [accepted] = await events(running, kept.planId);
    await running.stop();
    // Older than what is asked for below, and not than the default.
    await world.sql("UPDATE orchestrator.events SET at = at - interval '8 days' WHERE kind <> 'TASK_PAUSED'");
    await world.sql("UPDATE orchestrator.plans SET finished_at = finished_at - interval '8 days'");
    const next = await world.start({ HEADROOM_HISTORY_DAYS: "7" });
    await waitUntil(async () => (await world.sql("SELECT 1 FROM orchestrator.plans")).length === 1);
    for (const table of ["tasks", "attempts", "pause_queue", "events"]) {
      const rows = await world.sql(`SELECT 1 FROM orchestrator.${table} WHERE plan_id = $1`, [gone.planId]);
      expect(rows, table).toEqual([]);
    }
    expect(await errorOf(planAt(next, gone.planId))).toMatchObject({ reason: "PLAN_NOT_FOUND" });
    // The plan that goes on keeps what is young enough.
    const page = await next.plans.listPlanEvents(wire.ListPlanEventsRequest.fromPartial({ planId: kept.planId }));
    expect(page.events.map(({ kind }) => kind)).toEqual(["TASK_PAUSED"]);
    expect(page.trimmedThroughEventId).toBe(accepted?.eventId);
    const trimmed = Number(accepted?.eventId);
    const watch = async (afterEventId: number): Promise<string> => {
      for await (const { event } of next.plans.watchPlan({ planId: kept.planId, afterEventId }))
        return event?.kind ?? "";
      return "";
    };
    expect(await errorOf(watch(trimmed - 1))).toMatchObject({
      code: "OUT_OF_RANGE",
      reason: "EVENTS_TRIMMED",
      metadata: { first_after_event_id: String(trimmed) },
    });
    expect(await watch(trimmed)).toBe("TASK_PAUSED");
    expect(await watch(0)).toBe("TASK_PAUSED");
  });

  it("retention of 0 days keeps everything", async () => {
    const running = await world.start();
    await world.agent(running, { cores: 8 }, { instant: true });
    await fleetSeen(running, 1);
    const { planId } = await running.plans.dispatchPlan(planOf(1));
    await waitUntil(async () => (await planAt(running, planId)).finishedAt !== undefined);
    await running.stop();
    await world.sql("UPDATE orchestrator.events SET at = at - interval '400 days'");
    await world.sql("UPDATE orchestrator.plans SET finished_at = finished_at - interval '400 days'");
    const forEver = await world.start({ HEADROOM_HISTORY_DAYS: "0" });
    const told = await events(forEver, planId);
    await forEver.stop();
    const usual = await world.start();
    await waitUntil(async () => (await world.sql("SELECT 1 FROM orchestrator.plans")).length === 0);
    expect(told.map(({ kind }) => kind)).toContain("TASK_SUCCEEDED");
    await usual.stop();
  });
});
