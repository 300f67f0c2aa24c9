/** What one agent, run or task says that cannot be: it is left out, and holds nothing else. */
import { wire } from "@headroom/contracts";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWorld, dispatchOne, fleetSeen, planOf, type Running, waitUntil, type World } from "./harness.ts";

const { PauseReason, TaskState } = wire;
let world: World;

beforeAll(async () => {
  world = await createWorld("orch_odd_figures");
});
afterEach(() => world.reset());
afterAll(() => world.close());

/** 6.9 years: a clock that stood at 2020 was set during the run. */
const leapMs = 217_000_000_000;

function planNamed(name: string, count = 1): wire.DispatchPlanRequest {
  const request = planOf(count);
  return { ...request, plan: wire.WorkPlan.fromPartial({ ...request.plan, name }) };
}

const restOf = async (running: Running, path: string): Promise<number> => {
  const response = await fetch(`${running.httpAddress}${path}`, {
    headers: { authorization: `Bearer ${world.token}` },
  });
  await response.arrayBuffer();
  return response.status;
};

describe("a clock that was set during a run", () => {
  it("R-PAUSE-6: teaches no duration; what was learned so before is not believed", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    await world.sql("INSERT INTO orchestrator.task_durations (plan_name, task_name, recent_ms) VALUES ($1, '', $2)", [
      "earlier",
      [leapMs, -5, 42_000, leapMs],
    ]);
    const earlier = await running.plans.dispatchPlan(planNamed("earlier"));
    const { task } = await running.plans.getTask({ taskId: earlier.tasks[0]?.taskId ?? "" });
    expect(task?.expectedDuration).toMatchObject({ seconds: 42 });

    for (const [name, startedMs] of [
      ["leap", Date.now() - leapMs],
      ["sound", Date.now() - 60_000],
    ] as const) {
      const { tasks } = await running.plans.dispatchPlan(planNamed(name));
      const taskId = tasks[0]?.taskId ?? "";
      const given = await waitUntil(() => [...agent.running.values()].find((one) => one.taskId === taskId));
      await waitUntil(
        async () =>
          (
            await world.sql("SELECT 1 FROM orchestrator.attempts WHERE task_id = $1 AND started_at IS NOT NULL", [
              taskId,
            ])
          ).length === 1,
      );
      await world.sql("UPDATE orchestrator.attempts SET started_at = to_timestamp($2 / 1000.0) WHERE task_id = $1", [
        taskId,
        startedMs,
      ]);
      agent.finish(given.attemptId);
    }
    const learned = await waitUntil(async () => {
      const rows = await world.sql<{ plan_name: string }>(
        "SELECT DISTINCT plan_name FROM orchestrator.task_durations ORDER BY plan_name",
      );
      return rows.some((row) => row.plan_name === "sound") ? rows : null;
    });
    // Those of one writing are written together, and the other run ended before.
    expect(learned).toEqual([{ plan_name: "earlier" }, { plan_name: "sound" }]);
  });

  it("R-PAUSE-6: a task that expects more than the registry takes is placed all the same", async () => {
    const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "0.2" });
    const { planId } = await running.plans.dispatchPlan(planOf(3));
    await world.sql("UPDATE orchestrator.tasks SET expected_duration_ms = $2 WHERE plan_id = $1 AND position = 1", [
      planId,
      leapMs,
    ]);
    const agent = await world.agent(running, { cores: 8 });
    await waitUntil(() => agent.running.size === 3);
  });
});

describe("a task whose request the registry refuses", () => {
  it("R-PAUSE-6: waits alone and says why; the others of its batch start", async () => {
    const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "0.2" });
    const { planId, tasks } = await running.plans.dispatchPlan(planOf(5));
    await world.sql(
      `UPDATE orchestrator.tasks SET needs = jsonb_set(needs, '{memoryMib}', '-1024') WHERE plan_id = $1 AND position = 2`,
      [planId],
    );
    const agent = await world.agent(running, { cores: 8 });
    await waitUntil(() => agent.running.size === 4);
    const taskId = tasks[2]?.taskId ?? "";
    // It is written behind the others' assignments.
    const task = await waitUntil(async () => {
      const { task: now } = await running.plans.getTask({ taskId });
      return now?.pause?.sentence.includes("memory_gb") === true ? now : null;
    });
    expect(task).toMatchObject({
      state: TaskState.TASK_STATE_PAUSED,
      pause: { reason: PauseReason.PAUSE_REASON_AWAITING_TURN },
    });
    const record = running.logger.records.find(({ level }) => level === "error");
    expect(record?.fields).toMatchObject({ task_id: taskId, plan_id: planId });
  });

  it("R-PAUSE-6: does not keep those behind it from the room that appears; ExplainTask says when it is tried again, and why", async () => {
    const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "3600" });
    const { planId, tasks } = await running.plans.dispatchPlan(planOf(3));
    await world.sql(
      `UPDATE orchestrator.tasks SET needs = jsonb_set(needs, '{memoryMib}', '-1024') WHERE plan_id = $1 AND position = 0`,
      [planId],
    );
    const agent = await world.agent(running, { cores: 1 });
    const names: string[] = [];
    for (let run = 0; run < 2; run += 1) {
      const given = await waitUntil(() => [...agent.running.values()][0]);
      names.push(given.taskId);
      agent.finish(given.attemptId);
      await waitUntil(() => !agent.running.has(given.attemptId));
    }
    expect(names).toEqual([tasks[1]?.taskId, tasks[2]?.taskId]);
    const { task, sentence } = await running.plans.explainTask({ taskId: tasks[0]?.taskId ?? "", maxAgents: 0 });
    expect(task?.pause).toMatchObject({ reason: PauseReason.PAUSE_REASON_AWAITING_TURN });
    const dueMs = (task?.pause?.resumeAfter?.seconds ?? 0) * 1_000;
    expect(dueMs - Date.now()).toBeGreaterThan(10_000);
    expect(sentence).toMatch(/^It is tried again at 20.*Z\. The registry refuses to look for room for it: .*memory_gb/);
  });
});

describe("times of agents that cannot be", () => {
  it.each([
    ["the year 10000", 253_402_300_800],
    ["what PostgreSQL cannot keep", 1e15],
    ["a time before 1970", -1],
  ])("%s counts as not told: the result is taken, and REST tells it", async (_, seconds) => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const { planId, taskId } = await dispatchOne(running);
    const given = await waitUntil(() => [...agent.running.values()][0]);
    const at = { seconds, nanos: 0 };
    agent.finish(given.attemptId, { startedAt: at, finishedAt: at });
    await waitUntil(() => agent.acks.get(given.attemptId));
    expect(agent.closes).toEqual([]);
    const { task } = await running.plans.getTask({ taskId });
    expect(task?.state).toBe(TaskState.TASK_STATE_SUCCEEDED);
    const [attempt] = task?.attempts ?? [];
    for (const told of [attempt?.startedAt, attempt?.finishedAt])
      expect(Math.abs((told?.seconds ?? 0) * 1_000 - Date.now())).toBeLessThan(600_000);
    expect(await restOf(running, `/api/v1/plans/${planId}`)).toBe(200);
    expect(await restOf(running, `/api/v1/tasks/${taskId}`)).toBe(200);
  });
});
