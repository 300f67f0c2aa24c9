/** Ways between programs that are cut or broken. */
import { anyNode, cut, cutOff, pause } from "./befall.ts";
import { between, type Fault, oneOf } from "./fault.ts";

/** Nobody reaches anybody of the fleet: the fault is ours, most likely. */
export const fleetCutOff: Fault = (world, random) => {
  const forMs = between(random, 20_000, 200_000);
  for (const agent of world.agents) {
    cutOff(world, agent, world.registries, forMs);
  }
  return `all agents from the registries for ${Math.round(forMs)} ms`;
};

/** For so long that the brake takes hold, and gives them up at last. */
export const fleetLost: Fault = (world) => {
  const forMs = 105_000;
  for (const agent of world.agents) {
    cutOff(world, agent, world.registries, forMs);
  }
  return `all ${world.agents.length} agents from the registries for ${forMs} ms`;
};

export const partition: Fault = (world, random) => {
  const one = anyNode(world, random);
  const other = anyNode(world, random);
  const forMs = between(random, 1_000, 90_000);
  const isOneWay = random.next() < 0.4;
  cut(world, one, other, forMs);
  if (!isOneWay) cut(world, other, one, forMs);
  return `${one.name} ${isOneWay ? "to" : "and"} ${other.name} for ${Math.round(forMs)} ms`;
};

export const isolate: Fault = (world, random) => {
  const node = oneOf(random, world.agents);
  const forMs = between(random, 5_000, 100_000);
  cutOff(world, node, [...world.registries, ...world.orchestrators], forMs);
  return `${node.name} from all for ${Math.round(forMs)} ms`;
};

/** Work does not reach it, though it is seen. */
export const detach: Fault = (world, random) => {
  const node = oneOf(random, world.agents);
  const forMs = between(random, 40_000, 120_000);
  cutOff(world, node, world.orchestrators, forMs);
  return `${node.name} from the orchestrators for ${Math.round(forMs)} ms`;
};

/**
 * What has just been sent reaches nobody, and nobody can prolong what is promised for it: the room may be another's when it is sent again.
 */
export const sentToNobody: Fault = (world, random) => {
  const node = oneOf(random, world.orchestrators);
  const { process } = node;
  const forMs = between(random, 45_000, 75_000);
  const stillMs = between(random, 25_000, 45_000);
  const times = random.int(1, 6);
  if (process === null) return `${node.name}, which is not there`;
  world.postgres.befallAfter(process, "tasks_assign", times, () => {
    if (node.process !== process || world.isMended) return;
    const agent = oneOf(random, world.agents);
    cutOff(world, agent, [...world.registries, ...world.orchestrators], forMs);
    for (const registry of world.registries) pause(world, registry, stillMs);
  });
  return `of ${node.name} after ${times} times tasks_assign, for ${Math.round(forMs)} ms`;
};

/** From all orchestrators, over a command that has long to go, for longer than its lease and the grace after it: its agent is to end it. */
export const cutOffOverWork: Fault = (world, random) => {
  const forMs = between(random, 50_000, 90_000);
  const longMs = 40_000;
  let patience = 60;
  const look = (): void => {
    const index = world.machines.findIndex((machine) => machine.longestLeftMs >= longMs);
    const node = world.agents[index];
    patience -= 1;
    if (world.isMended) return;
    if (node !== undefined) cutOff(world, node, world.orchestrators, forMs);
    else if (patience > 0) world.engine.schedule(1_000, null, "nobody works for long", look);
  };
  look();
  return `whoever has a long command next, for ${Math.round(forMs)} ms`;
};

export const breakConnections: Fault = (world, random) => {
  const node = anyNode(world, random);
  for (const other of [...world.registries, ...world.orchestrators, ...world.agents])
    world.network.links.breakBetween(node.name, other.name);
  return `all of ${node.name}`;
};

/** One loses its connections again and again, until it is on probation where few losses are tolerated; then work comes. */
export const comesAndGoes: Fault = (world, random) => {
  const node = oneOf(random, world.agents);
  const times = random.int(4, 6);
  let atMs = 0;
  for (let time = 1; time <= times; time += 1) {
    world.engine.schedule(atMs, null, `${node.name} is lost once more`, () => {
      if (world.isMended) return;
      for (const registry of world.registries) world.network.links.breakBetween(node.name, registry.name);
    });
    atMs += between(random, 3_000, 9_000);
  }
  const inMs = atMs + between(random, 6_000, 15_000);
  world.engine.schedule(inMs, null, "work comes", () => {
    if (!world.isMended) world.planner.crowd();
  });
  return `${node.name}, ${times} times in ${Math.round(atMs)} ms`;
};
