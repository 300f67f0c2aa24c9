import { wire } from "@headroom/contracts";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createWorld, fleetSeen, planOf, waitUntil, type World } from "./harness.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld("orch_large");
});
afterAll(() => world.close());

it(
  "R-PAUSE-4: the largest plan is paused, read and cancelled whole; 500 tasks at once run once each",
  { timeout: 120_000 },
  async () => {
    const running = await world.start();
    const largest = await running.plans.dispatchPlan(planOf(10_000), { deadlineMs: 60_000 });
    expect(largest.pausedTasks).toBe(10_000);
    const cancelled = await running.plans.cancelPlan({ planId: largest.planId, reason: "" }, { deadlineMs: 60_000 });
    expect(cancelled.plan?.counts).toMatchObject({ total: 10_000, cancelled: 10_000 });
    await expect(running.plans.dispatchPlan(planOf(10_001))).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });

    const agent = await world.agent(running, { cores: 4_000 }, { instant: true });
    await fleetSeen(running, 1);
    const plan = await running.plans.dispatchPlan(planOf(500));
    expect(plan.dispatchedTasks).toBe(500);
    await waitUntil(
      async () =>
        (
          await running.plans.listPlans({
            statuses: [wire.PlanStatus.PLAN_STATUS_SUCCEEDED],
            name: "",
            pageSize: 1,
            pageToken: "",
          })
        ).plans.length === 1,
      { timeoutMs: 100_000 },
    );
    expect(new Set(agent.given.map(({ attemptId }) => attemptId)).size).toBe(500);
  },
);
