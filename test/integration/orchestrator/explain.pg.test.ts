/** What ExplainTask says when something other than room is in the way. */
import { wire } from "@headroom/contracts";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWorld, dispatchOne, fleetSeen, planOf, type Running, waitUntil, type World } from "./harness.ts";

/** Long enough that only events and what a test does itself start a pass. */
const neverPolls = { PAUSE_POLLING_INTERVAL_SECONDS: "3600", PAUSE_CAPACITY_THRESHOLD_PERCENT: "0" };
let world: World;

beforeAll(async () => {
  world = await createWorld("orch_explain");
});
afterEach(() => world.reset());
afterAll(() => world.close());

const explain = (running: Running, taskId: string) => running.plans.explainTask({ taskId, maxAgents: 0 });
const helpOf = (answer: wire.ExplainTaskResponse) => answer.capacity?.agents.map(({ unblock }) => unblock);
const neverFits = planOf(3, { cpuCores: 64 }, { priority: 50 });

describe("why a task waits", () => {
  it("tasks that can never fit stand in nobody's way, and in no order themselves", async () => {
    const running = await world.start(neverPolls);
    const agent = await world.agent(running, { cores: 1 });
    await fleetSeen(running, 1);
    const expectedDuration = { seconds: 100, nanos: 0 };
    await running.plans.dispatchPlan(planOf(1, {}, { expectedDuration }));
    await waitUntil(() => agent.running.size === 1);
    const never = await running.plans.dispatchPlan(neverFits);
    const { taskId } = await dispatchOne(running, { expectedDuration });
    const answer = await explain(running, taskId);
    expect(answer).toMatchObject({ queuePosition: 1, tasksAheadOfHigherPriority: 0, tasksAheadOfSamePriority: 0 });
    expect(answer.sentence).not.toMatch(/before it/);
    // One place, which falls free after 75 to 150 s.
    const latestS = (answer.expectedStartLatest?.seconds ?? 0) - Date.now() / 1_000;
    expect(latestS).toBeGreaterThan(75);
    expect(latestS).toBeLessThan(152);
    expect(await explain(running, never.tasks[0]?.taskId ?? "")).toMatchObject({ queuePosition: 0 });
  });

  it("expects no start while nothing could start it, whatever ends", async () => {
    const running = await world.start(neverPolls);
    const agent = await world.agent(running, { cores: 1 });
    await fleetSeen(running, 1);
    await running.plans.dispatchPlan(planOf(1, {}, { expectedDuration: { seconds: 100, nanos: 0 } }));
    await waitUntil(() => agent.running.size === 1);
    const { taskId } = await dispatchOne(running);
    expect((await explain(running, taskId)).expectedStartEarliest).toBeDefined();

    world.registry.set(agent.agentId, { cores: 1, attached: false });
    await waitUntil(async () => (await explain(running, taskId)).expectedStartEarliest === undefined);
    world.registry.set(agent.agentId, { cores: 1, online: false });
    await fleetSeen(running, 0);
    expect(await explain(running, taskId)).toMatchObject({
      sentence: "No desktop is online.",
      queuePosition: 1,
      expectedStartEarliest: undefined,
    });
    await world.registry.stop();
    const answer = await waitUntil(async () => {
      const now = await explain(running, taskId);
      return now.capacity === undefined ? now : null;
    });
    expect(answer).toMatchObject({ queuePosition: 1, expectedStartEarliest: undefined });
    expect(answer.sentence).toMatch(/^The registry cannot be asked: .*\.$/);
    const { sentence } = await running.queue.checkCapacity({ needs: undefined });
    expect(answer.sentence.startsWith(sentence)).toBe(true);
    await world.registry.start();
  });

  it("names both holds and what ends each, also where it fits", async () => {
    const running = await world.start(neverPolls);
    await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    await running.queue.holdQueue({ reason: "fire drill", heldBy: "ben" });
    const { planId, taskId } = await dispatchOne(running);
    await running.plans.holdPlan({ planId, reason: "disk swap", heldBy: "ana" });
    const answer = await explain(running, taskId);
    expect(answer.sentence).toMatch(
      /^Its plan is held by ana since 20\S+Z: disk swap\. The queue is held by ben since 20\S+Z: fire drill\. Both have to end: /,
    );
    expect(answer).toMatchObject({ hold: { heldBy: "ana" }, expectedStartEarliest: undefined });
    expect(helpOf(answer)).toEqual([`headroom plan release ${planId}; headroom queue release`]);
    await running.plans.releasePlan({ planId, reason: "", releasedBy: "" });
    expect(helpOf(await explain(running, taskId))).toEqual(["headroom queue release"]);
    await running.queue.releaseQueue({ reason: "", releasedBy: "" });
  });

  it("names the task that it depends on, and why that one waits", async () => {
    const running = await world.start(neverPolls);
    await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const request = planOf(2);
    const [first, second] = request.plan?.tasks ?? [];
    if (first === undefined || second === undefined) throw new Error("the plan has two tasks");
    first.needs = wire.ResourceNeeds.fromPartial({ cpuCores: 64 });
    second.dependsOn = ["task-1"];
    const { tasks } = await running.plans.dispatchPlan(request);
    const [never, dependent] = tasks.map(({ taskId }) => taskId);
    const answer = await explain(running, dependent ?? "");
    expect(answer.sentence).toMatch(
      /^It waits for task-1 \(\S+\) to succeed, which is paused \(no_agent_can_ever_fit\): It can never fit/,
    );
    expect(answer.sentence).toContain(never);
    expect(helpOf(answer)).toEqual(["task-1 has to succeed"]);
  });
});

describe("where a task runs", () => {
  it.each([
    ["retry", wire.UnknownOutcomePolicy.UNKNOWN_OUTCOME_POLICY_RETRY, /the task is tried elsewhere 30 s after that\.$/],
    [
      "hold",
      wire.UnknownOutcomePolicy.UNKNOWN_OUTCOME_POLICY_HOLD,
      /the task fails 30 s after that, and is not run again/,
    ],
  ])(
    "says that its agent is offline, until when it is waited for, and what follows: %s",
    async (_, policy, follows) => {
      const running = await world.start(neverPolls);
      const agent = await world.agent(running, { cores: 4 });
      await fleetSeen(running, 1);
      const { taskId } = await dispatchOne(running, { onUnknownOutcome: policy });
      await waitUntil(async () => (await explain(running, taskId)).sentence === `It runs on agent ${agent.agentId}.`);
      world.registry.set(agent.agentId, { cores: 4, online: false });
      const { sentence } = await explain(running, taskId);
      expect(sentence).toMatch(/which is offline and was last heard of at 20\S+Z\. Its work lease ends at 20\S+Z;/);
      expect(sentence).toMatch(follows);
    },
  );
});
