/** A task too large for what is free, among small ones that find room again and again. */
import { wire } from "@headroom/contracts";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWorld, fleetSeen, planOf, waitUntil, type World } from "./harness.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld("orch_large_task");
});
afterEach(() => world.reset());
afterAll(() => world.close());

describe("room for a large task", () => {
  it(
    "DESIGN-5: an agent is kept for it, small tasks do not take the room that becomes free there, and then it starts",
    { timeout: 120_000 },
    async () => {
      const running = await world.start({
        PAUSE_POLLING_INTERVAL_SECONDS: "0.2",
        PAUSE_CAPACITY_THRESHOLD_PERCENT: "0",
        HEADROOM_KEEP_ROOM_AFTER_SECONDS: "0",
      });
      const agent = await world.agent(running, { cores: 4 });
      await fleetSeen(running, 1);
      await running.plans.dispatchPlan(planOf(4));
      await waitUntil(() => agent.running.size === 4);
      const large = await running.plans.dispatchPlan(planOf(1, { cpuCores: 4 }));
      // More than end before room is kept, however quick the machine is.
      await running.plans.dispatchPlan(planOf(200));
      const largeId = large.tasks[0]?.taskId ?? "";
      const endOne = (isLarge = false): void => {
        const [attemptId] = [...agent.running].find(([, { taskId }]) => (taskId === largeId) === isLarge) ?? [];
        if (attemptId !== undefined) agent.finish(attemptId);
      };
      const kept = async (): Promise<readonly { agent_id: string }[]> =>
        world.sql("SELECT agent_id FROM orchestrator.room_holds WHERE task_id = $1 AND expires_at > now()", [largeId]);
      // Small ones overtake it as long as no room is kept: each end is followed by a start.
      await waitUntil(async () => {
        if ((await kept()).length > 0) return true;
        if (agent.running.size === 4) endOne();
        return false;
      });
      expect(await kept()).toEqual([{ agent_id: agent.agentId }]);
      await waitUntil(async () => {
        endOne();
        const task = (await running.plans.getTask({ taskId: largeId })).task;
        return task?.state === wire.TaskState.TASK_STATE_RUNNING;
      });
      const history = await world.sql<{ kind: string }>(
        "SELECT kind FROM orchestrator.events WHERE task_id = $1 ORDER BY event_id",
        [largeId],
      );
      expect(history.map(({ kind }) => kind)).toContain("TASK_ROOM_KEPT");
      // It ended with the waiting: the others go on when the large one is over.
      await waitUntil(async () => (await kept()).length === 0);
      endOne(true);
      await waitUntil(
        () => agent.running.size > 0 && ![...agent.running.values()].some(({ taskId }) => taskId === largeId),
      );
    },
  );

  it(
    "DESIGN-5: an agent is kept for it also while the gate holds it, as in a fleet that is busy all the time",
    { timeout: 120_000 },
    async () => {
      const running = await world.start({
        PAUSE_POLLING_INTERVAL_SECONDS: "0.2",
        PAUSE_CAPACITY_THRESHOLD_PERCENT: "0.2",
        HEADROOM_KEEP_ROOM_AFTER_SECONDS: "0",
      });
      const agent = await world.agent(running, { cores: 4 });
      await fleetSeen(running, 1);
      await running.plans.dispatchPlan(planOf(4));
      await waitUntil(() => agent.running.size === 4);
      const large = await running.plans.dispatchPlan(planOf(1, { cpuCores: 4 }));
      const largeId = large.tasks[0]?.taskId ?? "";
      const small = await running.plans.dispatchPlan(planOf(20));
      const endOne = (): void => {
        const [attemptId] = [...agent.running].find(([, { taskId }]) => taskId !== largeId) ?? [];
        if (attemptId !== undefined) agent.finish(attemptId);
      };
      // One of the small ones overtakes it; from then on nothing ends, and the gate is shut.
      const before = new Set(agent.running.keys());
      endOne();
      await waitUntil(() => [...agent.running.keys()].some((attemptId) => !before.has(attemptId)));
      await waitUntil(async () => {
        const kept = await world.sql(
          "SELECT agent_id FROM orchestrator.room_holds WHERE task_id = $1 AND expires_at > now()",
          [largeId],
        );
        return kept.length === 1;
      });
      expect(agent.running.size).toBe(4);
      endOne();
      await waitUntil(() => agent.running.size === 3);
      // Why the others do not take that room is said to whoever asks, and what they may expect.
      const smallId = small.tasks.at(-1)?.taskId ?? "";
      const answer = await waitUntil(async () => {
        const now = await running.plans.explainTask({ taskId: smallId, maxAgents: 1 });
        return now.sentence.includes("is kept for task") ? now : null;
      });
      expect(answer.sentence).toContain(`agent ${agent.agentId.slice(0, 8)} is kept for task ${largeId.slice(0, 8)}`);
      expect(answer.capacity?.agents).toMatchObject([
        { fits: true, unblock: /^task .* has to start, or be cancelled$/ },
      ]);
      const preview = await running.plans.previewPlan({ plan: planOf(1).plan });
      expect(preview.tasks).toMatchObject([{ agentId: "" }]);
      await waitUntil(async () => {
        endOne();
        const task = (await running.plans.getTask({ taskId: largeId })).task;
        return task?.state === wire.TaskState.TASK_STATE_RUNNING;
      });
      expect(agent.running.size).toBe(1);
    },
  );

  it(
    "DESIGN-5: two replicas keep no more agents between them than one would, and neither gives away the room of one that is kept",
    { timeout: 120_000 },
    async () => {
      const settings = {
        PAUSE_POLLING_INTERVAL_SECONDS: "0.2",
        PAUSE_CAPACITY_THRESHOLD_PERCENT: "0",
        HEADROOM_KEEP_ROOM_AFTER_SECONDS: "0",
      };
      const [one, two] = [await world.start(settings), await world.start(settings)];
      const agent = await world.agent(one, { cores: 4 });
      for (const running of [one, two]) await fleetSeen(running, 1);
      await one.plans.dispatchPlan(planOf(4));
      await waitUntil(() => agent.running.size === 4);
      // Each is the first of a shape of its own, and either replica may keep the agent for either.
      const large = [
        await one.plans.dispatchPlan(planOf(1, { cpuCores: 4 })),
        await two.plans.dispatchPlan(planOf(1, { cpuCores: 3.5 })),
      ].map(({ tasks }) => tasks[0]?.taskId ?? "");
      const small = await two.plans.dispatchPlan(planOf(200));
      const isLarge = (taskId: string): boolean => large.includes(taskId);
      const smallOnes = (): readonly string[] =>
        [...agent.running].filter(([, { taskId }]) => !isLarge(taskId)).map(([attemptId]) => attemptId);
      const endOne = (): void => {
        const [attemptId] = smallOnes();
        if (attemptId !== undefined) agent.finish(attemptId);
      };
      const inForce = async (): Promise<readonly { task_id: string }[]> => {
        const holds = await world.sql<{ task_id: string }>(
          "SELECT task_id FROM orchestrator.room_holds WHERE expires_at > now()",
        );
        expect(holds.length).toBeLessThanOrEqual(1);
        return holds;
      };
      const isHeededBy = async (running: typeof one): Promise<boolean> => {
        const smallId = small.tasks.at(-1)?.taskId ?? "";
        const { sentence } = await running.plans.explainTask({ taskId: smallId, maxAgents: 1 });
        return sentence.includes("is kept for task");
      };
      // Until both have read of it, one of them may give out what becomes free.
      await waitUntil(async () => {
        const isKept = (await inForce()).length > 0;
        if (isKept && (await isHeededBy(one)) && (await isHeededBy(two))) return true;
        if (agent.running.size === 4) endOne();
        return false;
      });
      const before = new Set(smallOnes());
      await waitUntil(async () => {
        endOne();
        await inForce();
        expect(smallOnes().filter((attemptId) => !before.has(attemptId))).toEqual([]);
        return [...agent.running.values()].some(({ taskId }) => isLarge(taskId));
      });
      expect(smallOnes()).toEqual([]);
      // The other one has its turn as well.
      await waitUntil(async () => {
        for (const attemptId of [...agent.running.keys()]) agent.finish(attemptId);
        await inForce();
        const states = await Promise.all(
          large.map(async (taskId) => (await one.plans.getTask({ taskId })).task?.state),
        );
        return states.every((state) => state === wire.TaskState.TASK_STATE_SUCCEEDED);
      });
    },
  );
});
