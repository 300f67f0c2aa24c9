/** What operators do in the midst of it all. */
import type { SeededRandom } from "@headroom/testing";
import { between, type Fault, oneOf } from "./fault.ts";
import { watchDrain } from "./drained.ts";
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

export const drain = done((operator, world, random) => {
  const index = random.int(0, world.machines.length - 1);
  const forMs = between(random, 5_000, 60_000);
  const deadlineMs = between(random, 0, 20_000);
  return drainFor(operator, world, index, { forMs, deadlineMs });
});

/** Over a command that has long to go: its agent is to end it. */
export const drainOverWork = done((operator, world, random) => {
  const forMs = between(random, 40_000, 60_000);
  const deadlineMs = between(random, 0, 5_000);
  const longMs = 30_000;
  let patience = 60;
  const look = (): void => {
    const index = world.machines.findIndex((machine) => machine.longestLeftMs >= longMs);
    patience -= 1;
    if (world.isMended) return;
    if (index >= 0) drainFor(operator, world, index, { forMs, deadlineMs });
    else if (patience > 0) world.engine.schedule(1_000, null, "nobody works for long", look);
  };
  look();
  return `whoever has a long command next, for ${Math.round(forMs)} ms, what runs for ${Math.round(deadlineMs)}`;
});

function drainFor(
  operator: Operator,
  world: World,
  index: number,
  { forMs, deadlineMs }: { readonly forMs: number; readonly deadlineMs: number },
): string {
  const { name, agentId } = world.machines[index]!;
  operator.drain(agentId, forMs, deadlineMs, (isOver) => watchDrain(world, index, deadlineMs, isOver));
  return `${name} for ${Math.round(forMs)} ms, what runs for ${Math.round(deadlineMs)}`;
}

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
