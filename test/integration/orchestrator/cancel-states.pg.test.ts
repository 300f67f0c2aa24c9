/** Cancelling, at every state that a task can be found in: what TASK_TABLE says of `cancel_requested`, on real rows. */
import { wire } from "@headroom/contracts";
import { TASK_STATES, TASK_TABLE, type TaskState } from "@headroom/scheduling";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { FakeAgent } from "./fake-agent.ts";
import { createWorld, fleetSeen, planOf, type Running, waitUntil, type World } from "./harness.ts";

let world: World;

beforeAll(async () => {
  world = await createWorld("orch_cancel");
});
afterEach(() => world.reset());
afterAll(() => world.close());

interface Found {
  readonly running: Running;
  readonly agent: FakeAgent;
  readonly taskId: string;
}

const stateOf = async (taskId: string): Promise<string> =>
  (await world.sql<{ state: string }>("SELECT state FROM orchestrator.tasks WHERE task_id = $1", [taskId]))[0]?.state ??
  "";

/** A task in that state, as it comes to be there. `reserved` and `lost` are passed through inside a transaction: no row shows them. */
async function found(state: TaskState): Promise<Found> {
  const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "3600" });
  // One that says nothing keeps its assignment "assigned".
  const agent = await world.agent(running, { cores: 4 }, state === "assigned" ? { answer: () => null } : {});
  await fleetSeen(running, 1);
  const needs = state === "paused" ? { cpuCores: 64 } : {};
  const { tasks } = await running.plans.dispatchPlan(planOf(1, needs, { maxAttempts: 1 }));
  const taskId = tasks[0]?.taskId ?? "";
  if (state === "paused" || state === "pending") return { running, agent, taskId };
  const given = await waitUntil(() => agent.given[0] ?? null);
  if (state === "assigned") return { running, agent, taskId };
  await waitUntil(async () => (await stateOf(taskId)) === "running");
  if (state === "succeeded") agent.finish(given.attemptId);
  if (state === "failed") agent.finish(given.attemptId, { exitCode: 1 });
  if (state === "cancelled") {
    await running.plans.cancelTask({ taskId, reason: "" });
    agent.finish(given.attemptId, { outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED });
  }
  await waitUntil(async () => (await stateOf(taskId)) === state);
  return { running, agent, taskId };
}

const onRows = TASK_STATES.filter((state) => state !== "reserved" && state !== "lost" && state !== "pending");

it.each(onRows)("a task that is %s", async (state) => {
  const { running, agent, taskId } = await found(state);
  expect(await stateOf(taskId)).toBe(state);
  const cell = TASK_TABLE[state].cancel_requested;
  const answer = running.plans.cancelTask({ taskId, reason: "no longer needed" });
  if (cell === "!ALREADY_FINAL") {
    if (state === "cancelled") expect((await answer).task).toMatchObject({ taskId });
    else await expect(answer).rejects.toMatchObject({ code: "FAILED_PRECONDITION", reason: "TASK_ALREADY_FINISHED" });
    expect(await stateOf(taskId)).toBe(state);
    return;
  }
  await answer;
  expect(await stateOf(taskId)).toBe(cell);
  const { task } = await running.plans.getTask({ taskId });
  const { events } = await running.plans.listPlanEvents(
    wire.ListPlanEventsRequest.fromPartial({ planId: task?.planId ?? "", taskId }),
  );
  const last = events.at(-1);
  expect(last).toMatchObject({ actor: "planner", sentence: "no longer needed", requestId: expect.stringMatching(/./) });
  if (cell === "cancelled") expect(last?.kind).toBe("TASK_CANCELLED");
  else {
    // Its agent is told, and it ends when nothing of it runs any more.
    expect(last?.kind).toBe("TASK_CANCEL_REQUESTED");
    const [given] = agent.given;
    await waitUntil(() => agent.cancelled.has(given?.attemptId ?? ""));
    agent.finish(given?.attemptId ?? "", { outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_CANCELLED });
    await waitUntil(async () => (await stateOf(taskId)) === "cancelled");
  }
});

it("a task that is pending, claimed by its acceptor: the room goes back, nothing runs", async () => {
  const { running, agent } = await found("paused");
  let answered: string | undefined;
  world.registry.onReserve(async () => {
    world.registry.onReserve(null);
    const [row] = await world.sql<{ task_id: string; state: string }>(
      "SELECT task_id, state FROM orchestrator.tasks WHERE state = 'pending'",
    );
    answered = row?.state;
    await running.plans.cancelTask({ taskId: row?.task_id ?? "", reason: "" });
  });
  const { tasks } = await running.plans.dispatchPlan(planOf(1));
  expect(answered).toBe("pending");
  expect(await stateOf(tasks[0]?.taskId ?? "")).toBe("cancelled");
  await waitUntil(() => world.registry.held.size === 0);
  expect(agent.given).toEqual([]);
});
