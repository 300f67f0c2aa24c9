import { wire } from "@headroom/contracts";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWorld, fleetSeen, planOf, type Running, waitUntil, type World } from "./harness.ts";

const { PauseReason } = wire;
let world: World;

beforeAll(async () => {
  world = await createWorld("orch_estimates");
});
afterEach(() => world.reset());
afterAll(() => world.close());

const seconds = (at: wire.ExplainTaskResponse["expectedStartEarliest"]): number =>
  at === undefined ? Number.NaN : at.seconds + at.nanos / 1e9 - Date.now() / 1_000;
const explain = (running: Running, taskId: string) => running.plans.explainTask({ taskId, maxAgents: 0 });

describe("place and expected start", () => {
  it("counts what is before it, says it in words, and expects its start from declared durations as a range", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 1 });
    await fleetSeen(running, 1);
    const expectedDuration = { seconds: 100, nanos: 0 };
    await running.plans.dispatchPlan(planOf(1, {}, { expectedDuration }));
    await waitUntil(() => agent.running.size === 1);
    const older = await running.plans.dispatchPlan(planOf(1, {}, { expectedDuration }));
    const mine = await running.plans.dispatchPlan(planOf(1, {}, { expectedDuration }));
    await running.plans.dispatchPlan(planOf(3, {}, { expectedDuration, priority: 50 }));
    const taskId = mine.tasks[0]?.taskId ?? "";
    const answer = await explain(running, taskId);
    expect(answer).toMatchObject({
      queuePosition: 5,
      tasksAheadOfHigherPriority: 3,
      tasksAheadOfSamePriority: 1,
      task: { expectedDuration },
    });
    expect(answer.sentence).toMatch(/3 tasks of higher priority and 1 that has waited longer wait before it\.$/);
    // One place; one of 75 to 150 s runs, and four go before it.
    const earliest = seconds(answer.expectedStartEarliest);
    const latest = seconds(answer.expectedStartLatest);
    expect(earliest).toBeGreaterThan(5 * 75 - 30);
    expect(earliest).toBeLessThanOrEqual(5 * 75 + 1);
    expect(latest).toBeGreaterThan(5 * 150 - 30);
    expect(latest).toBeLessThanOrEqual(5 * 150 + 1);
    // A place further to the front is never later.
    const first = await explain(running, older.tasks[0]?.taskId ?? "");
    expect(first.queuePosition).toBe(4);
    expect(seconds(first.expectedStartEarliest)).toBeLessThan(earliest);
  });

  it("learns durations from runs that succeeded, by the names of plan and task, and by the plan's for tasks that are new in it", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const named = (...names: string[]) => {
      const request = planOf(names.length);
      for (const [index, name] of names.entries()) Object.assign(request.plan?.tasks[index] ?? {}, { name });
      return request;
    };
    await running.plans.dispatchPlan(named("render"));
    const [given] = await waitUntil(() => (agent.running.size === 1 ? [...agent.running.values()] : null));
    const startedAt = { seconds: 1_700_000_000, nanos: 0 };
    const finishedAt = { seconds: 1_700_000_042, nanos: 0 };
    await waitUntil(
      async () => (await world.sql("SELECT 1 FROM orchestrator.attempts WHERE started_at IS NOT NULL")).length === 1,
    );
    await world.sql("UPDATE orchestrator.attempts SET started_at = to_timestamp(1700000000)");
    agent.finish(given?.attemptId ?? "", { startedAt, finishedAt });
    const learned = await waitUntil(async () => {
      const rows = await world.sql("SELECT task_name, recent_ms FROM orchestrator.task_durations ORDER BY task_name");
      return rows.length === 2 ? rows : null;
    });
    expect(learned).toEqual([
      { task_name: "", recent_ms: ["42000"] },
      { task_name: "render", recent_ms: ["42000"] },
    ]);
    const restarted = await world.start();
    await fleetSeen(restarted, 1);
    const { tasks } = await restarted.plans.dispatchPlan(named("render", "new"));
    for (const { taskId } of tasks) {
      const { task } = await restarted.plans.getTask({ taskId });
      expect(task?.expectedDuration).toMatchObject({ seconds: 42 });
    }
  });
});

describe("needs that no agent can ever meet", () => {
  it("the task says so, is refused when asked to, and starts when an agent joins that can", async () => {
    const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "3600" });
    await world.agent(running, { cores: 2 });
    await fleetSeen(running, 1);
    const request = planOf(1, { cpuCores: 6 });
    const refused = running.plans.dispatchPlan({ ...request, failUnsatisfiable: true });
    await expect(refused).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "CAN_NEVER_FIT",
      fieldViolations: [{ field: "plan.tasks[0].needs" }],
    });
    const { tasks } = await running.plans.dispatchPlan(request);
    expect(tasks[0]).toMatchObject({ pauseReason: PauseReason.PAUSE_REASON_NO_AGENT_CAN_EVER_FIT });
    const answer = await explain(running, tasks[0]?.taskId ?? "");
    expect(answer.expectedStartEarliest).toBeUndefined();
    expect(answer.sentence).toMatch(/never fit on the only agent; .*4\.0 cores short.*It waits until an agent joins/);
    const large = await world.agent(running, { cores: 8 });
    await waitUntil(() => large.given.length === 1);
  });
});
