/** The history of what was cancelled: which attempt it was, and on which agent. */
import { wire } from "@headroom/contracts";
import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { createWorld, dispatchOne, fleetSeen, planOf, type Running, taskOf, waitUntil, type World } from "./harness.ts";

/** Long enough that only events start a pass over the queue. */
const neverPolls = { PAUSE_POLLING_INTERVAL_SECONDS: "3600" };
/** An agent that the registry knows, and this orchestrator does not hold: it is sent nothing. */
const notHeld = randomUUID();
let world: World;

beforeAll(async () => {
  world = await createWorld("orch_cancel_history");
});
afterEach(async () => {
  world.registry.remove(notHeld);
  await world.reset();
});
afterAll(() => world.close());

/** What the history says of cancelling: kind, attempt and agent. */
async function told(running: Running, planId: string, taskId: string): Promise<readonly (readonly string[])[]> {
  const { events } = await running.plans.listPlanEvents(wire.ListPlanEventsRequest.fromPartial({ planId, taskId }));
  return events
    .filter(({ kind }) => kind.startsWith("TASK_CANCEL"))
    .map(({ kind, attemptId, agentId }) => [kind, attemptId, agentId]);
}

it.each(["task", "plan"] as const)(
  "DESIGN 5: of a run whose %s is cancelled, the request names the agent that is asked to end it, the end the one that did",
  async (what) => {
    const running = await world.start(neverPolls);
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const { planId, taskId } = await dispatchOne(running);
    const [attemptId = ""] = await waitUntil(() => (agent.running.size === 1 ? [...agent.running.keys()] : null));
    if (what === "task") await running.plans.cancelTask({ taskId, reason: "" });
    else await running.plans.cancelPlan({ planId, reason: "" });
    expect(await told(running, planId, taskId)).toEqual([["TASK_CANCEL_REQUESTED", attemptId, agent.agentId]]);
    await waitUntil(() => agent.cancelled.has(attemptId));
    agent.finish(attemptId, { outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED });
    await waitUntil(async () => (await taskOf(running, taskId)).finishedAt !== undefined);
    expect(await told(running, planId, taskId)).toEqual([
      ["TASK_CANCEL_REQUESTED", attemptId, agent.agentId],
      ["TASK_CANCELLED", attemptId, agent.agentId],
    ]);
  },
);

it("DESIGN 5: what is taken back before it was sent names the agent that it was meant for; what only waited names none", async () => {
  const running = await world.start(neverPolls);
  world.registry.set(notHeld, { cores: 1 });
  await fleetSeen(running, 1);
  const { planId, tasks } = await running.plans.dispatchPlan(planOf(2));
  const [unsent, waits] = tasks;
  expect(unsent).toMatchObject({ agentId: notHeld });
  expect(waits).toMatchObject({ agentId: "" });
  const [attempt] = (await taskOf(running, unsent?.taskId ?? "")).attempts;
  await running.plans.cancelPlan({ planId, reason: "" });
  expect(await told(running, planId, unsent?.taskId ?? "")).toEqual([["TASK_CANCELLED", attempt?.attemptId, notHeld]]);
  expect(await told(running, planId, waits?.taskId ?? "")).toEqual([["TASK_CANCELLED", "", ""]]);
});
