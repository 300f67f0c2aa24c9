import { randomUUID } from "node:crypto";
import { wire } from "@headroom/contracts";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { createWorld, fleetSeen, planOf, waitUntil, type World } from "./harness.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld("orch_large");
});
afterEach(() => world.reset());
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

it(
  "DESIGN-6: a plan asked for again answers, however long the sentences of its tasks are by then",
  { timeout: 120_000 },
  async () => {
    const running = await world.start();
    const late = { deadlineMs: 60_000 };
    const request = { ...planOf(10_000), requestId: randomUUID() };
    const { planId } = await running.plans.dispatchPlan(request, late);
    await world.sql("UPDATE orchestrator.pause_queue SET reason_detail = repeat('x', 2000)");
    await expect(running.plans.getPlan({ planId }, late)).rejects.toMatchObject({ reason: "MESSAGE_TOO_LARGE" });
    const again = await running.plans.dispatchPlan(request, late);
    expect(again).toMatchObject({ planId, duplicate: true, pausedTasks: 10_000 });
    expect(again.tasks).toHaveLength(10_000);
    expect(again.tasks[0]?.sentence).toMatch(/^x+…$/);
  },
);

/** As much of each as fits: the answer repeats what the tasks depend on in words, and adds what has become of each. */
function longestPlan(): wire.WorkPlan {
  const name = (index: number): string => `${String(index).padStart(5, "0")}${"n".repeat(123)}`;
  const task = (index: number): Partial<wire.TaskSpec> => ({
    name: name(index),
    command: wire.Command.fromPartial({ argv: ["true", "x".repeat(700)] }),
    dependsOn: index < 5 ? [] : [0, 1, 2, 3, 4].map(name),
  });
  return wire.WorkPlan.fromPartial({
    name: "longest",
    tasks: Array.from({ length: 10_000 }, (_, index) => task(index)),
  });
}

it(
  "a plan too long for one answer is held, released, tried again and cancelled with an answer that says so: its tasks are left out of it",
  { timeout: 120_000 },
  async () => {
    const running = await world.start();
    const late = { deadlineMs: 60_000 };
    const { planId } = await running.plans.dispatchPlan({ ...planOf(1), plan: longestPlan() }, late);
    await expect(running.plans.getPlan({ planId }, late)).rejects.toMatchObject({ reason: "MESSAGE_TOO_LARGE" });
    const total = { counts: { total: 10_000 }, tasks: [] };
    expect(await running.plans.holdPlan({ planId, reason: "", heldBy: "ana" }, late)).toMatchObject({
      plan: { ...total, hold: { heldBy: "ana" } },
      heldTasks: 5,
    });
    expect(await running.plans.releasePlan({ planId, reason: "", releasedBy: "" }, late)).toMatchObject({
      plan: { ...total, hold: undefined },
      releasedTasks: 5,
    });
    expect(await running.plans.retryPlan({ planId, requestId: "", reason: "" }, late)).toMatchObject({ plan: total });
    const page = await running.plans.listTasks({ planId, states: [], pageSize: 1_000, pageToken: "" }, late);
    expect(page.tasks).toHaveLength(1_000);
    // Tasks that wait for nothing any more have less to say: they fit again.
    const cancelled = await running.plans.cancelPlan({ planId, reason: "" }, late);
    expect(cancelled.plan?.status).toBe(wire.PlanStatus.PLAN_STATUS_CANCELLED);
    expect(cancelled.plan?.tasks).toHaveLength(10_000);
  },
);
