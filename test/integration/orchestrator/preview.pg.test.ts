import { wire } from "@headroom/contracts";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWorld, fleetSeen, planOf, waitUntil, type World } from "./harness.ts";

const { PauseReason, PlanStatus, TaskState } = wire;
let world: World;

beforeAll(async () => {
  world = await createWorld("orch_preview");
});
afterEach(() => world.reset());
afterAll(() => world.close());

const task = (name: string, cpuCores: number, more: Partial<wire.TaskSpec> = {}): wire.TaskSpec =>
  wire.TaskSpec.fromPartial({ name, command: { argv: ["true"] }, needs: { cpuCores }, ...more });
const plan = (...tasks: wire.TaskSpec[]): wire.WorkPlan => wire.WorkPlan.fromPartial({ name: "p", tasks });

/** Every row of every table of the orchestrator. */
async function contents(): Promise<ReadonlyMap<string, readonly string[]>> {
  const tables = await world.sql<{ name: string }>(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'orchestrator' ORDER BY 1",
  );
  const rows = tables.map(async ({ name }) => {
    const all = await world.sql<{ row: string }>(`SELECT t::text AS row FROM orchestrator.${name} t ORDER BY 1`);
    return [name, all.map(({ row }) => row)] as const;
  });
  return new Map(await Promise.all(rows));
}

describe("PreviewPlan", () => {
  it("says what would run where and what would wait, by priority, and what can never fit behind a dependency; nothing is touched", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const given = plan(
      task("large", 3),
      task("first", 3, { priority: 5 }),
      task("small", 1),
      task("after", 1, { dependsOn: ["small"] }),
      task("never", 64, { dependsOn: ["small"] }),
    );
    const before = await contents();
    expect(before.get("tasks")).toEqual([]);
    const preview = await running.plans.previewPlan({ plan: given });
    expect(preview.status).toBe(PlanStatus.PLAN_STATUS_PARTLY_PAUSED);
    expect(
      preview.tasks.map(({ name, state, pauseReason, agentId, taskId }) => [name, state, pauseReason, agentId, taskId]),
    ).toEqual([
      ["large", TaskState.TASK_STATE_PAUSED, PauseReason.PAUSE_REASON_NO_AGENT_FITS_NOW, "", ""],
      ["first", TaskState.TASK_STATE_ASSIGNED, 0, agent.agentId, ""],
      ["small", TaskState.TASK_STATE_ASSIGNED, 0, agent.agentId, ""],
      ["after", TaskState.TASK_STATE_PAUSED, PauseReason.PAUSE_REASON_DEPENDENCY_PENDING, "", ""],
      ["never", TaskState.TASK_STATE_PAUSED, PauseReason.PAUSE_REASON_NO_AGENT_CAN_EVER_FIT, "", ""],
    ]);
    expect(await contents()).toEqual(before);
    expect([world.registry.held.size, world.registry.promises.size, agent.given.length]).toEqual([0, 0, 0]);
    // What it said comes true.
    const answer = await running.plans.dispatchPlan(wire.DispatchPlanRequest.fromPartial({ plan: given }));
    expect(answer.tasks.map(({ state, agentId }) => [state, agentId])).toEqual(
      preview.tasks.map(({ state, agentId }) => [state, agentId]),
    );
  });

  it("a held queue, a closed gate and an absent registry are answers, not errors", async () => {
    const running = await world.start();
    await world.agent(running, { cores: 10, freeCores: 1 });
    await fleetSeen(running, 1);
    const reasonOf = async (): Promise<number | undefined> =>
      (await running.plans.previewPlan({ plan: planOf(1).plan })).tasks[0]?.pauseReason;
    expect(await reasonOf()).toBe(PauseReason.PAUSE_REASON_FLEET_BELOW_THRESHOLD);
    await running.queue.holdQueue({ reason: "", heldBy: "" });
    expect(await reasonOf()).toBe(PauseReason.PAUSE_REASON_HELD);
    await running.queue.releaseQueue({ reason: "", releasedBy: "" });
    await world.registry.stop();
    await waitUntil(async () => !(await running.queue.getQueueStatus({})).registryConnected);
    expect(await reasonOf()).toBe(PauseReason.PAUSE_REASON_REGISTRY_UNAVAILABLE);
    await world.registry.start();
  });
});
