/** An agent that is attached, whose beats go on, and that never answers what it is given: its disk hangs, and so does its journal. */
import { wire } from "@headroom/contracts";
import { systemPorts } from "@headroom/runtime";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { createWorld, dispatchOne, fleetSeen, planOf, taskOf, waitUntil, type World } from "./harness.ts";

let world: World;

beforeAll(async () => {
  world = await createWorld("orch_silent_agent");
});
afterEach(() => world.reset());
afterAll(() => world.close());

const silent = { answer: () => null };
/** Due to be sent again at the next look. */
const sendAgain = () => world.sql("UPDATE orchestrator.attempts SET sent_at = now() - interval '11 seconds'");

it("DESIGN 5: keeps a task no longer than its lease: it is lost or, if somebody asked for that, cancelled, and the room is free", async () => {
  const running = await world.start();
  const agent = await world.agent(running, { cores: 4 }, silent);
  await fleetSeen(running, 1);
  const { taskId } = await dispatchOne(running);
  const cancelled = await dispatchOne(running);
  await running.plans.cancelTask({ taskId: cancelled.taskId, reason: "" });
  const attemptIds = await waitUntil(() => agent.given.length === 2 && agent.given.map(({ attemptId }) => attemptId));
  // It would be sent again before it counts as lost.
  await world.sql(
    `UPDATE orchestrator.attempts SET assigned_at = now() - interval '61 seconds', sent_at = now() - interval '11 seconds',
            lease_expires_at = now() - interval '27 seconds'`,
  );
  const isLost = ({ state }: wire.Attempt): boolean => state === wire.AttemptState.ATTEMPT_STATE_LOST;
  await waitUntil(async () => (await taskOf(running, taskId)).attempts.some(isLost));
  await waitUntil(async () => (await taskOf(running, cancelled.taskId)).state === wire.TaskState.TASK_STATE_CANCELLED);
  await waitUntil(() => attemptIds.every((attemptId) => !world.registry.held.has(attemptId)));
  expect(attemptIds.map((id) => agent.given.filter(({ attemptId }) => attemptId === id).length)).toEqual([1, 1]);
});

it("is given nothing new from the second time on that it does not answer, until it does; the log says so once", async () => {
  let aheadMs = 0;
  const clock = { ...systemPorts.clock, monotonic: () => systemPorts.clock.monotonic() + aheadMs };
  const running = await world.start({}, { ...systemPorts, clock });
  let isSilent = true;
  const agent = await world.agent(running, { cores: 4 }, { answer: () => (isSilent ? null : { accepted: true }) });
  await fleetSeen(running, 1);
  await dispatchOne(running);
  const { attemptId } = await waitUntil(() => agent.given[0]);
  await sendAgain();
  await waitUntil(() => agent.given.length === 2);
  aheadMs += 10_000;
  const told = () =>
    running.logger.records.filter(({ message }) => message.startsWith("an agent is attached and does"));
  await waitUntil(() => told().length === 1);
  expect(told()[0]).toMatchObject({ level: "warn", fields: { agent_id: agent.agentId, attempt_id: attemptId } });
  const willing = await world.agent(running, { cores: 4 });
  await fleetSeen(running, 2);
  // The registry would name the silent one first.
  await running.plans.dispatchPlan(planOf(3));
  await waitUntil(() => willing.running.size === 3);
  expect(new Set(agent.given.map((given) => given.attemptId))).toEqual(new Set([attemptId]));

  isSilent = false;
  await sendAgain();
  await waitUntil(() => agent.running.has(attemptId));
  aheadMs += 30_000;
  await running.plans.dispatchPlan(planOf(1, { cpuCores: 2 }));
  await waitUntil(() => agent.running.size === 2);
  expect(told()).toHaveLength(1);
});

it("headroom task explain says since when it has not answered, and what follows", async () => {
  const running = await world.start();
  const agent = await world.agent(running, { cores: 4 }, silent);
  await fleetSeen(running, 1);
  const { taskId } = await dispatchOne(running);
  const explain = async (): Promise<string> =>
    (await running.plans.explainTask({ taskId, maxAgents: 0 })).sentence.replaceAll(/20\S+Z/g, "TIME");
  const given = `It was given at TIME to agent ${agent.agentId}, which has not answered`;
  expect(await explain()).toBe(`${given} yet.`);
  await world.sql("UPDATE orchestrator.attempts SET assigned_at = now() - interval '61 seconds'");
  expect(await explain()).toBe(
    `${given} since. Its work lease ends at TIME; unless the agent has answered by then, the task is tried elsewhere 30 s after that.`,
  );
});
