/** What operators do in the midst of it all. */
import type { SeededRandom } from "@headroom/testing";
import { between, type Fault, oneOf } from "./fault.ts";
import type { Operator } from "./operator.ts";
import type { World } from "./world.ts";

type Doing = (operator: Operator, world: World, random: SeededRandom) => string;

/** By the world's operator, where it has one. */
const done =
  (doing: Doing): Fault =>
  (world, random) =>
    world.operator === null ? "nobody is there" : doing(world.operator, world, random);

export const holdPlan = done((operator, { planner }, random) => {
  const plan = planner.recent(random);
  const forMs = between(random, 500, 30_000);
  if (plan === null) return "none is there";
  operator.holdPlan(plan.planId, forMs);
  return `${plan.planId} for ${Math.round(forMs)} ms`;
});

export const holdQueue = done((operator, _, random) => {
  const forMs = between(random, 500, 30_000);
  operator.holdQueue(forMs);
  return `for ${Math.round(forMs)} ms`;
});

export const cordon = done((operator, { machines }, random) => {
  const { name, agentId } = oneOf(random, machines);
  const forMs = between(random, 1_000, 60_000);
  operator.cordon(agentId, forMs);
  return `${name} for ${Math.round(forMs)} ms`;
});

export const drain = done((operator, { machines }, random) => {
  const { name, agentId } = oneOf(random, machines);
  const forMs = between(random, 5_000, 60_000);
  const deadlineMs = between(random, 0, 20_000);
  operator.drain(agentId, forMs, deadlineMs);
  return `${name} for ${Math.round(forMs)} ms, what runs for ${Math.round(deadlineMs)}`;
});

export const cancelTask = done((operator, { planner }, random) => {
  const plan = planner.recent(random);
  if (plan === null) return "none is there";
  const taskId = oneOf(random, plan.taskIds);
  operator.cancelTask(taskId);
  return taskId;
});

export const retryPlan = done((operator, { planner }, random) => {
  const plan = planner.recent(random);
  if (plan === null) return "none is there";
  operator.retryPlan(plan.planId);
  return plan.planId;
});
