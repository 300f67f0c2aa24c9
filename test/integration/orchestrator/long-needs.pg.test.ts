import { randomUUID } from "node:crypto";
import { wire } from "@headroom/contracts";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWorld, fleetSeen, planOf, type Running, waitUntil, type World } from "./harness.ts";

const { TaskState } = wire;
const neverPolls = { PAUSE_POLLING_INTERVAL_SECONDS: "3600" };
let world: World;

beforeAll(async () => {
  world = await createWorld("orch_long_needs");
});
afterEach(() => world.reset());
afterAll(() => world.close());

const planAt = async (running: Running, planId: string): Promise<wire.Plan> =>
  (await running.plans.getPlan({ planId })).plan ?? wire.Plan.create();

describe("needs with many labels", () => {
  it("longer than a row of an index takes: they wait, and run, and hold nobody up", async () => {
    const running = await world.start(neverPolls);
    const agent = await world.agent(running, { cores: 4 }, { instant: true });
    await fleetSeen(running, 1);
    const text = (): string => Array.from({ length: 6 }, () => randomUUID()).join("-");
    const labels = Object.fromEntries(Array.from({ length: 32 }, (_, index) => [`key-${index}`, text()]));
    const request = planOf(3);
    const [first, second, third] = request.plan?.tasks ?? [];
    if (first === undefined || second === undefined || third === undefined) throw new Error("the plan has three tasks");
    second.dependsOn = ["task-1"];
    second.needs = wire.ResourceNeeds.fromPartial({ cpuCores: 1, labels });
    third.needs = wire.ResourceNeeds.fromPartial({ cpuCores: 1, labels });
    third.resumeAfter = { seconds: Math.floor(Date.now() / 1_000) + 1, nanos: 0 };
    const { planId } = await running.plans.dispatchPlan(request);
    await waitUntil(async () => {
      const { tasks } = await planAt(running, planId);
      return tasks[0]?.state === TaskState.TASK_STATE_SUCCEEDED && tasks[1]?.pause?.reason !== undefined;
    });
    const other = await running.plans.dispatchPlan(planOf(1));
    await waitUntil(async () => (await planAt(running, other.planId)).finishedAt !== undefined);
    expect(agent.given).toHaveLength(2);
    await waitUntil(async () => {
      const rows = await world.sql(
        "SELECT 1 FROM orchestrator.pause_queue WHERE status = 'waiting' AND NOT blocked AND NOT later",
      );
      return rows.length === 2;
    });
  });
});
