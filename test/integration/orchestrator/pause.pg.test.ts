import { wire } from "@headroom/contracts";
import { ConfigError, systemPorts } from "@headroom/runtime";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { configOf, createWorld, fleetSeen, planOf, type Running, waitUntil, type World } from "./harness.ts";
import { pauseRowsOf } from "./pause-rows.ts";

const { PlanStatus, PauseReason } = wire;
/** Long enough that only what a test does itself ever starts a pass. */
const neverPolls = { PAUSE_POLLING_INTERVAL_SECONDS: "3600" };
let world: World;

beforeAll(async () => {
  world = await createWorld("orch_pause");
});
afterEach(() => world.reset());
afterAll(() => world.close());

const check = (running: Running, needs?: Partial<wire.ResourceNeeds>) =>
  running.queue.checkCapacity(wire.CheckCapacityRequest.fromPartial(needs === undefined ? {} : { needs }));
const resume = (running: Running, planId = "") => running.queue.resumePausedWork({ planId });

const pauseRows = () => pauseRowsOf(world);

describe("initialisation", () => {
  const base = { DATABASE_URL: "postgresql://x@127.0.0.1/x" };

  it("R-PAUSE-1: the threshold is 0.2 by default, and comes from PAUSE_CAPACITY_THRESHOLD_PERCENT", async () => {
    expect(configOf(base).pauseThreshold).toBe(0.2);
    expect(configOf({ ...base, PAUSE_CAPACITY_THRESHOLD_PERCENT: "0.35" }).pauseThreshold).toBe(0.35);
    expect(configOf(base).pollingIntervalMs).toBe(10_000);
    expect(configOf({ ...base, PAUSE_POLLING_INTERVAL_SECONDS: "3" }).pollingIntervalMs).toBe(3_000);
    expect(configOf(base).errorDelayMs).toBe(30_000);
    const running = await world.start({ PAUSE_CAPACITY_THRESHOLD_PERCENT: "0.4", ...neverPolls });
    expect((await check(running)).threshold).toBe(0.4);
  });

  it.each(["20", "1.01", "-0.1", "twenty", "20%"])(
    "R-PAUSE-1: a threshold of %s is a start-up error that says how to write it",
    (text) => {
      expect(() => configOf({ ...base, PAUSE_CAPACITY_THRESHOLD_PERCENT: text })).toThrow(ConfigError);
      expect(() => configOf({ ...base, PAUSE_CAPACITY_THRESHOLD_PERCENT: text })).toThrow(
        /PAUSE_CAPACITY_THRESHOLD_PERCENT.*write 0\./s,
      );
    },
  );
});

describe("capacity checks", () => {
  it("R-PAUSE-2: no online agent at all means pause; offline agents do not count", async () => {
    const running = await world.start(neverPolls);
    await waitUntil(async () => (await running.queue.getQueueStatus({})).registryConnected);
    expect(await check(running)).toMatchObject({ shouldPause: true, reason: PauseReason.PAUSE_REASON_NO_AGENT_ONLINE });
    await world.agent(running, { cores: 8, online: false });
    expect(await check(running)).toMatchObject({ shouldPause: true, agentsOnline: 0 });
  });

  it.each([
    [1, 10, false],
    [1, 80, false],
    [1, 81, true],
    [3, 20, false],
    [3, 50, false],
    [10, 80, false],
    [10, 90, true],
  ])("R-PAUSE-2: %i agents with %i %% in use: pause %s", async (agents, usedPercent, pause) => {
    const running = await world.start(neverPolls);
    for (let n = 0; n < agents; n += 1)
      await world.agent(running, { cores: 10, freeCores: (10 * (100 - usedPercent)) / 100 });
    await fleetSeen(running, agents);
    const verdict = await check(running);
    expect(verdict).toMatchObject({ shouldPause: pause, agentsOnline: agents });
    expect(verdict.averageCpuFreePercent).toBeCloseTo(100 - usedPercent, 5);
  });

  it("R-PAUSE-2: GPUs at 15, 18 and 10 % free pause; 25, 30 and 40 % do not; CPU work is not held by busy GPUs", async () => {
    const running = await world.start(neverPolls);
    const gpu = { gpuCount: 1, gpuVramGb: 1 };
    const agents = await Promise.all(
      [15, 18, 10].map((free) => world.agent(running, { cores: 8, vramGb: 100, freeVramGb: free })),
    );
    await fleetSeen(running, 3);
    expect(await check(running, gpu)).toMatchObject({
      shouldPause: true,
      reason: PauseReason.PAUSE_REASON_FLEET_BELOW_THRESHOLD,
    });
    expect(await check(running)).toMatchObject({ shouldPause: true });
    expect(await check(running, { cpuCores: 1 })).toMatchObject({ shouldPause: false });
    for (const [index, free] of [25, 30, 40].entries()) {
      world.registry.set(agents[index]?.agentId ?? "", { cores: 8, vramGb: 100, freeVramGb: free });
    }
    const verdict = await waitUntil(async () => {
      const now = await check(running, gpu);
      return now.shouldPause ? null : now;
    });
    expect(verdict.averageGpuFreePercent).toBeCloseTo((25 + 30 + 40) / 3, 5);
  });

  it("R-PAUSE-2: an agent without a GPU has none to give; one without metrics counts as zero; mixed fleets judge the online ones", async () => {
    const running = await world.start(neverPolls);
    await world.agent(running, { cores: 8 });
    await world.agent(running, { cores: 8, metrics: false });
    await world.agent(running, { cores: 8, online: false });
    await fleetSeen(running, 2);
    expect(await check(running, { gpuCount: 1 })).toMatchObject({ shouldPause: true });
    const verdict = await check(running);
    expect(verdict).toMatchObject({ shouldPause: false, averageCpuFreePercent: 50 });
    expect(verdict.agents.filter((agent) => agent.below)).toHaveLength(1);
  });

  it("R-PAUSE-3: each decision is logged with the figures", async () => {
    const running = await world.start(neverPolls);
    await world.agent(running, { cores: 10, freeCores: 1, vramGb: 10, freeVramGb: 5 });
    await fleetSeen(running, 1);
    running.logger.clear();
    await running.plans.dispatchPlan(planOf(2));
    const decision = running.logger.records.find((record) => record.message === "capacity checked: pause");
    expect(decision?.fields).toMatchObject({
      should_pause: true,
      reason: "FLEET_BELOW_THRESHOLD",
      agents_online: 1,
      average_cpu_free_percent: 10,
      average_gpu_free_percent: 50,
      threshold: 0.2,
    });
  });
});

describe("pause", () => {
  it.each([1, 5, 20])("R-PAUSE-4, R-PAUSE-5: pausing a plan of %i tasks", async (count) => {
    const running = await world.start(neverPolls);
    const agent = await world.agent(running, { cores: 10, freeCores: 1 });
    await fleetSeen(running, 1);
    const answer = await running.plans.dispatchPlan(planOf(count));
    expect(answer).toMatchObject({ status: PlanStatus.PLAN_STATUS_PAUSED, pausedTasks: count, dispatchedTasks: 0 });
    expect(answer.tasks.every((task) => task.pauseReason === PauseReason.PAUSE_REASON_FLEET_BELOW_THRESHOLD)).toBe(
      true,
    );
    const rows = await pauseRows();
    expect(rows).toHaveLength(count);
    expect(rows.every((row) => row.status === "waiting" && row.resume_after === null && row.resumed_at === null)).toBe(
      true,
    );
    expect(rows.map((row) => row.work_plan_json.task_name)).toEqual(answer.tasks.map((task) => task.name));
    expect(rows[0]?.work_plan_json.command.argv).toEqual(["true"]);
    const tasks = await world.sql<{ state: string }>("SELECT DISTINCT state FROM orchestrator.tasks");
    expect(tasks).toEqual([{ state: "paused" }]);
    expect(agent.given).toHaveLength(0);
    const { planId } = answer;
    const listed = await running.queue.listPausedTasks({ planId, reason: 0, pageSize: 0, pageToken: "" });
    expect(listed.totalSize).toBe(count);
    // Of the whole queue the count may be some seconds old.
    const status = await waitUntil(async () => {
      const now = await running.queue.getQueueStatus({});
      return now.waitingTasks === count ? now : null;
    });
    expect(status.reasons).toEqual([{ reason: PauseReason.PAUSE_REASON_FLEET_BELOW_THRESHOLD, tasks: count }]);
  });
});

describe("resume", () => {
  async function pausedPlan(running: Running, count: number): Promise<{ agentId: string; planId: string }> {
    const agent = await world.agent(running, { cores: 10, freeCores: 1 }, { instant: true });
    await fleetSeen(running, 1);
    const { planId, pausedTasks } = await running.plans.dispatchPlan(planOf(count));
    expect(pausedTasks).toBe(count);
    return { agentId: agent.agentId, planId };
  }

  it("R-PAUSE-6: with room again all are resumed, marked, dispatched, counted and logged", async () => {
    const running = await world.start(neverPolls);
    const { agentId, planId } = await pausedPlan(running, 5);
    running.logger.clear();
    world.registry.set(agentId, { cores: 10 });
    await waitUntil(
      async () => (await running.plans.getPlan({ planId })).plan?.status === PlanStatus.PLAN_STATUS_SUCCEEDED,
    );
    const rows = await pauseRows();
    expect(rows.map((row) => row.status)).toEqual(Array.from({ length: 5 }, () => "resumed"));
    expect(rows.every((row) => row.resumed_at !== null && row.last_checked !== null)).toBe(true);
    await waitUntil(() => running.logger.has("resumed 5, 0 still waiting", "info"));
  });

  it("R-PAUSE-6: still low: skipped, last_checked set, 0 returned", async () => {
    const running = await world.start(neverPolls);
    await pausedPlan(running, 3);
    const before = await pauseRows();
    const answer = await resume(running);
    expect(answer).toEqual({ resumedTasks: 0, waitingTasks: 3 });
    const after = await pauseRows();
    expect(after.every((row) => row.status === "waiting")).toBe(true);
    for (const [index, row] of after.entries()) {
      expect(row.last_checked?.getTime() ?? 0).toBeGreaterThanOrEqual(
        before[index]?.last_checked?.getTime() ?? Number.POSITIVE_INFINITY,
      );
    }
    expect(running.logger.has("resumed 0, 3 still waiting", "info")).toBe(true);
  });

  it("R-PAUSE-6: returns how many it has resumed", async () => {
    const running = await world.start(neverPolls);
    const agent = await world.agent(running, { cores: 10, freeCores: 3 });
    await fleetSeen(running, 1);
    // Where no watch tells of room, a pass tries one task of each shape.
    for (const cpuCores of [4, 5, 6])
      expect(await running.plans.dispatchPlan(planOf(1, { cpuCores }))).toMatchObject({ pausedTasks: 1 });
    expect(await resume(running)).toEqual({ resumedTasks: 0, waitingTasks: 3 });
    // No event tells of it: what is resumed is resumed by the call.
    world.registry.setUntold(agent.agentId, { cores: 20, freeCores: 15 });
    running.logger.clear();
    expect(await resume(running)).toEqual({ resumedTasks: 3, waitingTasks: 0 });
    expect(running.logger.has("resumed 3, 0 still waiting", "info")).toBe(true);
    expect((await pauseRows()).map((row) => row.status)).toEqual(["resumed", "resumed", "resumed"]);
    await waitUntil(() => agent.running.size === 3);
  });

  it("R-PAUSE-6: resume_after is respected, and wakes the loop by itself", async () => {
    const running = await world.start(neverPolls);
    const agent = await world.agent(running, { cores: 10 }, { instant: true });
    await fleetSeen(running, 1);
    const farMs = Date.now() + 3_600_000;
    const later = { resumeAfter: { seconds: Math.floor(farMs / 1_000), nanos: 0 } };
    const far = await running.plans.dispatchPlan(planOf(2, {}, later));
    expect(far).toMatchObject({ status: PlanStatus.PLAN_STATUS_PAUSED, pausedTasks: 2 });
    expect(far.tasks[0]?.pauseReason).toBe(PauseReason.PAUSE_REASON_RESUME_AFTER);
    const soonMs = Date.now() + 1_000;
    const soon = await running.plans.dispatchPlan(
      planOf(1, {}, { resumeAfter: { seconds: Math.floor(soonMs / 1_000), nanos: (soonMs % 1_000) * 1_000_000 } }),
    );
    expect(await resume(running)).toMatchObject({ resumedTasks: 0 });
    await waitUntil(
      async () =>
        (await running.plans.getPlan({ planId: soon.planId })).plan?.status === PlanStatus.PLAN_STATUS_SUCCEEDED,
    );
    expect(Date.now()).toBeGreaterThanOrEqual(soonMs);
    expect(agent.given).toHaveLength(1);
    expect((await running.plans.getPlan({ planId: far.planId })).plan?.status).toBe(PlanStatus.PLAN_STATUS_PAUSED);
  });

  it("R-PAUSE-6: whether a resume_after has come is judged by the database's clock alone", async () => {
    const hourMs = 3_600_000;
    const clock = { ...systemPorts.clock, now: () => Date.now() + 2 * hourMs };
    const running = await world.start(neverPolls, { ...systemPorts, clock });
    const agent = await world.agent(running, { cores: 10 });
    await fleetSeen(running, 1);
    const at = (ms: number) => ({ resumeAfter: { seconds: Math.floor(ms / 1_000), nanos: 0 } });
    const ahead = await running.plans.dispatchPlan(planOf(1, {}, at(Date.now() + hourMs)));
    const passed = await running.plans.dispatchPlan(planOf(1, {}, at(Date.now() - 60_000)));
    await waitUntil(() => agent.given.length === 1);
    expect(agent.given[0]?.planId).toBe(passed.planId);
    expect(await resume(running)).toMatchObject({ resumedTasks: 0, waitingTasks: 1 });
    expect(ahead.status).toBe(PlanStatus.PLAN_STATUS_PAUSED);
  });

  it("R-PAUSE-6: only as many as fit are resumed; the higher priority first, then age", async () => {
    const running = await world.start(neverPolls);
    const agent = await world.agent(running, { cores: 4, freeCores: 0 });
    await fleetSeen(running, 1);
    const low = await running.plans.dispatchPlan(planOf(3));
    const high = planOf(1);
    if (high.plan !== undefined) high.plan.priority = 10;
    const first = await running.plans.dispatchPlan(high);
    world.registry.set(agent.agentId, { cores: 4, freeCores: 2 });
    await waitUntil(() => agent.running.size === 2);
    expect(agent.given.map((given) => given.planId)).toEqual([first.planId, low.planId]);
    expect(agent.given[1]?.taskName).toBe("task-1");
    expect(await resume(running)).toEqual({ resumedTasks: 0, waitingTasks: 2 });
  });

  it("R-PAUSE-8: nothing is resumed twice by passes that run at once, on two replicas", async () => {
    const one = await world.start(neverPolls);
    const two = await world.start(neverPolls);
    const agent = await world.agent(one, { cores: 64, freeCores: 1 });
    await Promise.all([fleetSeen(one, 1), fleetSeen(two, 1)]);
    await one.plans.dispatchPlan(planOf(20));
    world.registry.set(agent.agentId, { cores: 64 });
    await Promise.all([resume(one), resume(two), resume(one), resume(two)]);
    await waitUntil(() => agent.running.size === 20);
    expect(new Set(agent.given.map((given) => given.taskId)).size).toBe(20);
    const rows = await world.sql<{ n: number }>("SELECT count(*)::int AS n FROM orchestrator.attempts");
    expect(rows).toEqual([{ n: 20 }]);
  });
});

describe("whole cycles", () => {
  it("R-PAUSE-1..8: high load, pause, recovery, resume; three times over; by SQL and by log", async () => {
    const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "3600" });
    const agent = await world.agent(running, { cores: 10, freeCores: 1 }, { instant: true });
    await fleetSeen(running, 1);
    for (let cycle = 1; cycle <= 3; cycle += 1) {
      world.registry.set(agent.agentId, { cores: 10, freeCores: 1 });
      await waitUntil(async () => (await check(running)).shouldPause);
      const { planId, status } = await running.plans.dispatchPlan(planOf(4));
      expect(status).toBe(PlanStatus.PLAN_STATUS_PAUSED);
      world.registry.set(agent.agentId, { cores: 10 });
      await waitUntil(
        async () => (await running.plans.getPlan({ planId })).plan?.status === PlanStatus.PLAN_STATUS_SUCCEEDED,
      );
      expect(agent.given).toHaveLength(4 * cycle);
      const story = await world.sql<{ kind: string }>(
        "SELECT kind FROM orchestrator.events WHERE plan_id = $1 AND task_name = 'task-1' ORDER BY event_id",
        [planId],
      );
      expect(story.map((event) => event.kind).slice(0, 3)).toEqual(["TASK_PAUSED", "TASK_RESUMED", "TASK_ASSIGNED"]);
      expect(story.at(-1)?.kind).toBe("TASK_SUCCEEDED");
      const mine = running.logger.records
        .filter((record) => record.fields.plan_id === planId)
        .map((record) => record.message);
      expect(mine).toEqual(expect.arrayContaining(["plan accepted", "task paused", "task assigned", "task succeeded"]));
    }
    expect(await running.queue.getQueueStatus({})).toMatchObject({ waitingTasks: 0, oldestPausedAt: undefined });
  });

  it("R-PAUSE-1: capacity is checked before every dispatch: with room the plan never touches the queue", async () => {
    const running = await world.start(neverPolls);
    await world.agent(running, { cores: 10 }, { instant: true });
    await fleetSeen(running, 1);
    const answer = await running.plans.dispatchPlan(planOf(3));
    expect(answer.status).toBe(PlanStatus.PLAN_STATUS_DISPATCHED);
    expect(await pauseRows()).toEqual([]);
    expect(running.logger.has("capacity checked: go", "info")).toBe(true);
  });
});
