import type { SeededRandom } from "@headroom/testing";
import type { SimProcess } from "../engine/sim-process.ts";
import { between, type Fault, type NamedFault, oneOf } from "./fault.ts";
import type { SimNode } from "./node.ts";
import type { World } from "./world.ts";

/** A registry that stood still gives its agents the time of a heartbeat again. */
const doubtedWithinMs = 20_000;

function anyNode({ registries, orchestrators, agents, looksRarely }: World, random: SeededRandom): SimNode {
  return oneOf(random, [...registries, ...(looksRarely ? [] : orchestrators), ...agents]);
}

function comesBack(world: World, node: SimNode, afterMs: number): void {
  world.engine.schedule(afterMs, null, `${node.name} is switched on`, () => node.start());
}

/** Stands still no more. */
export function goOn(world: World, node: SimNode, process: SimProcess): void {
  if (world.registries.includes(node) && process.isPaused) {
    const fromMs = world.postgres.nowMs;
    world.stalls.push({ fromMs, toMs: fromMs + doubtedWithinMs });
  }
  process.resume();
}

/** A process that holds a transaction open is stopped right after it: else it would hold the whole database up. */
function pause(world: World, node: SimNode, forMs: number): void {
  const { process } = node;
  if (process === null) return;
  if (world.postgres.isInTransaction(process)) {
    world.engine.schedule(1, null, `${node.name} is to stand still`, () => pause(world, node, forMs));
    return;
  }
  process.pause();
  world.engine.schedule(forMs, null, `${node.name} goes on`, () => goOn(world, node, process));
}

const kill: Fault = (world, random) => {
  const node = anyNode(world, random);
  const downMs = between(random, 100, 40_000);
  node.die(false);
  comesBack(world, node, downMs);
  return `${node.name} for ${Math.round(downMs)} ms`;
};

/** Where a change may be half done: half of the moments are just after one of these, which are few among all that look. */
const momentsOfOrchestrators = [
  "plans_insert",
  "tasks_claim_waiting",
  "tasks_claim_orphans",
  "tasks_assign",
  "tasks_park",
  "tasks_finish",
  "tasks_requeue",
  "attempts_report",
  "COMMIT",
];
const momentsOfRegistries = ["registry_commit_reservations", "registry_write_statuses", "registry_admit"];

interface Moment {
  readonly statement: string | null;
  readonly times: number;
  readonly text: string;
}

function someMoment({ registries }: World, node: SimNode, random: SeededRandom): Moment {
  const times = random.int(1, 60);
  if (random.next() < 0.5) return { statement: null, times, text: `${times} statements` };
  const few = 1 + (times % 4);
  const statement = oneOf(random, registries.includes(node) ? momentsOfRegistries : momentsOfOrchestrators);
  return { statement, times: few, text: `${few} times ${statement}` };
}

const killAtStatement: Fault = (world, random) => {
  const node = oneOf(random, [...world.orchestrators, ...world.orchestrators, ...world.registries]);
  const { process } = node;
  const { statement, times, text } = someMoment(world, node, random);
  const downMs = between(random, 100, 20_000);
  if (process === null) return `${node.name}, which is not there`;
  world.postgres.befallAfter(process, statement, times, () => {
    if (node.process !== process || world.isMended) return;
    node.die(false);
    comesBack(world, node, downMs);
  });
  return `${node.name} after ${text}, for ${Math.round(downMs)} ms`;
};

/** In the middle of its work, and for longer than its claims: others take that over meanwhile. */
const standStillAtStatement: Fault = (world, random) => {
  const node = oneOf(random, world.orchestrators);
  const { process } = node;
  const { statement, times, text } = someMoment(world, node, random);
  const forMs = between(random, 4_000, 25_000);
  if (process === null) return `${node.name}, which is not there`;
  world.postgres.befallAfter(process, statement, times, () => {
    if (node.process === process && !world.isMended) pause(world, node, forMs);
  });
  return `${node.name} after ${text}, for ${Math.round(forMs)} ms`;
};

/** It has been promised room, and does not know it: whoever takes its claim over asks for the same room again. */
const standStillWithRoom: Fault = (world, random) => {
  const node = oneOf(random, world.orchestrators);
  const { process } = node;
  const forMs = between(random, 6_000, 25_000);
  if (process === null) return `${node.name}, which is not there`;
  world.network.links.befallAtAnswer(process, "/ReserveCapacity", () => {
    if (node.process === process && !world.isMended) pause(world, node, forMs);
  });
  return `${node.name}, promised room, for ${Math.round(forMs)} ms`;
};

/** Its registry hears, if it hears anything, that it goes. */
function saysGoodbye(world: World, node: SimNode): void {
  const machine = world.machines[world.agents.indexOf(node)];
  if (machine !== undefined) world.farewells.push({ agentId: machine.agentId, atMs: world.postgres.nowMs });
}

const restart: Fault = (world, random) => {
  const node = anyNode(world, random);
  saysGoodbye(world, node);
  node.stop(() => comesBack(world, node, between(random, 100, 5_000)));
  return node.name;
};

const standStill: Fault = (world, random) => {
  const node = anyNode(world, random);
  const forMs = between(random, 500, 60_000);
  pause(world, node, forMs);
  return `${node.name} for ${Math.round(forMs)} ms`;
};

const powerLoss: Fault = (world, random) => {
  const index = random.int(0, world.agents.length - 1);
  const node = world.agents[index]!;
  const downMs = between(random, 5_000, 120_000);
  node.die(true);
  world.machines[index]!.losePower();
  comesBack(world, node, downMs);
  return `${node.name} for ${Math.round(downMs)} ms`;
};

/** For so long that others are full without it: below their threshold, while it would have room. */
export const longPowerLoss: Fault = (world) => {
  const [node] = world.agents;
  const [machine] = world.machines;
  if (node === undefined || machine === undefined) return "nobody";
  const downMs = 110_000;
  node.die(true);
  machine.losePower();
  comesBack(world, node, downMs);
  return `${node.name} for ${downMs} ms`;
};

/**
 * The machine is suspended, with its agent and its commands; where its system tells, they are told before. When it wakes its network may
 * take a while: nobody tells the agent then that its leases are over.
 */
const sleep: Fault = (world, random) => {
  const index = random.int(0, world.agents.length - 1);
  const node = world.agents[index]!;
  const machine = world.machines[index]!;
  const forMs = random.next() < 0.5 ? between(random, 2_000, 60_000) : between(random, 60_000, 420_000);
  const isTold = random.next() < 0.5;
  const cutOffMs = forMs + (random.next() < 0.4 ? between(random, 5_000, 60_000) : 0);
  const { process } = node;
  if (process === null || process.isPaused) return `${node.name}, which is not awake`;
  const { sleepListener } = machine;
  const fallAsleep = (): void => {
    if (world.isMended || process.isDead || process.isPaused) return;
    process.pause();
    machine.fallAsleep();
    for (const other of [...world.registries, ...world.orchestrators]) {
      world.network.links.cut(node.name, other.name, cutOffMs);
      world.network.links.cut(other.name, node.name, cutOffMs);
    }
    world.engine.schedule(forMs, null, `${node.name} wakes`, () => {
      machine.wake();
      process.resume();
      if (sleepListener !== null && isTold) process.do("is told that it is back", () => sleepListener.back());
    });
  };
  if (sleepListener === null || !isTold) fallAsleep();
  else {
    process.do("is told that it will sleep", () => {
      saysGoodbye(world, node);
      void sleepListener.announced();
      world.engine.schedule(3_000, null, `${node.name} falls asleep`, fallAsleep);
    });
  }
  return `${node.name} for ${Math.round(forMs)} ms${isTold ? ", told before" : ""}`;
};

/** Nobody reaches anybody of the fleet: the fault is ours, most likely. */
const fleetCutOff: Fault = (world, random) => {
  const forMs = between(random, 20_000, 200_000);
  for (const agent of world.agents) {
    for (const other of world.registries) {
      world.network.links.cut(agent.name, other.name, forMs);
      world.network.links.cut(other.name, agent.name, forMs);
    }
  }
  return `all agents from the registries for ${Math.round(forMs)} ms`;
};

/** For so long that the brake takes hold, and gives them up at last. */
export const fleetLost: Fault = (world) => {
  const forMs = 105_000;
  for (const agent of world.agents) {
    for (const other of world.registries) {
      world.network.links.cut(agent.name, other.name, forMs);
      world.network.links.cut(other.name, agent.name, forMs);
    }
  }
  return `all ${world.agents.length} agents from the registries for ${forMs} ms`;
};

const partition: Fault = (world, random) => {
  const one = anyNode(world, random);
  const other = anyNode(world, random);
  const forMs = between(random, 1_000, 90_000);
  const isOneWay = random.next() < 0.4;
  const { links } = world.network;
  links.cut(one.name, other.name, forMs);
  if (!isOneWay) links.cut(other.name, one.name, forMs);
  return `${one.name} ${isOneWay ? "to" : "and"} ${other.name} for ${Math.round(forMs)} ms`;
};

const isolate: Fault = (world, random) => {
  const node = oneOf(random, world.agents);
  const forMs = between(random, 5_000, 100_000);
  for (const other of [...world.registries, ...world.orchestrators]) {
    world.network.links.cut(node.name, other.name, forMs);
    world.network.links.cut(other.name, node.name, forMs);
  }
  return `${node.name} from all for ${Math.round(forMs)} ms`;
};

/** Work does not reach it, though it is seen. */
const detach: Fault = (world, random) => {
  const node = oneOf(random, world.agents);
  const forMs = between(random, 20_000, 120_000);
  for (const other of world.orchestrators) {
    world.network.links.cut(node.name, other.name, forMs);
    world.network.links.cut(other.name, node.name, forMs);
  }
  return `${node.name} from the orchestrators for ${Math.round(forMs)} ms`;
};

/**
 * What has just been sent reaches nobody, and nobody can prolong what is promised for it: the room may be another's when it is sent again.
 */
const sentToNobody: Fault = (world, random) => {
  const node = oneOf(random, world.orchestrators);
  const { process } = node;
  const forMs = between(random, 45_000, 75_000);
  const stillMs = between(random, 25_000, 45_000);
  const times = random.int(1, 6);
  if (process === null) return `${node.name}, which is not there`;
  world.postgres.befallAfter(process, "tasks_assign", times, () => {
    if (node.process !== process || world.isMended) return;
    const { links } = world.network;
    const agent = oneOf(random, world.agents);
    for (const other of [...world.registries, ...world.orchestrators]) {
      links.cut(agent.name, other.name, forMs);
      links.cut(other.name, agent.name, forMs);
    }
    for (const registry of world.registries) pause(world, registry, stillMs);
  });
  return `of ${node.name} after ${times} times tasks_assign, for ${Math.round(forMs)} ms`;
};

const breakConnections: Fault = (world, random) => {
  const node = anyNode(world, random);
  for (const other of [...world.registries, ...world.orchestrators, ...world.agents])
    world.network.links.breakBetween(node.name, other.name);
  return `all of ${node.name}`;
};

const databaseDown: Fault = (world, random) => {
  const forMs = between(random, 200, 30_000);
  world.postgres.goDown();
  world.engine.schedule(forMs, null, "the database is back", () => world.postgres.comeBack());
  return `for ${Math.round(forMs)} ms`;
};

const databaseSlow: Fault = (world, random) => {
  const forMs = between(random, 1_000, 20_000);
  const { delayMs } = world.postgres.weather;
  Object.assign(delayMs, { min: 50, max: 1_500 });
  world.engine.schedule(forMs, null, "the database is quick again", () => {
    Object.assign(delayMs, { min: 0.2, max: 2 });
  });
  return `for ${Math.round(forMs)} ms`;
};

const clockJump: Fault = (world, random) => {
  const node = anyNode(world, random);
  const byMs = random.int(-7_200_000, 7_200_000);
  node.process?.jumpClock(byMs);
  return `${node.name} by ${byMs} ms`;
};

const ownerComes: Fault = (world, random) => {
  const machine = oneOf(random, world.machines);
  const forMs = between(random, 1_000, 60_000);
  if (random.next() < 0.5) machine.ownerHold = "mine";
  else machine.ownerCores = random.int(1, machine.shape.cpuCores);
  world.engine.schedule(forMs, null, `the owner of ${machine.name} goes`, () => {
    machine.ownerHold = null;
    machine.ownerCores = 0;
  });
  return `${machine.name} for ${Math.round(forMs)} ms`;
};

const cancelPlan: Fault = (world) => {
  world.planner.cancelOne();
  return "one of those accepted";
};

/** What happens at one moment. Some are listed more than once: they are likelier. */
export const disturbances: readonly NamedFault[] = [
  ["kill", kill],
  ["kill", kill],
  ["kill at a statement", killAtStatement, "hard"],
  ["stand still at a statement", standStillAtStatement, "hard"],
  ["stand still at a statement", standStillAtStatement, "hard"],
  ["stand still at a statement", standStillAtStatement, "hard"],
  ["kill at a statement", killAtStatement, "hard"],
  ["kill at a statement", killAtStatement, "hard"],
  ["stand still with room", standStillWithRoom, "hard"],
  ["stand still with room", standStillWithRoom, "hard"],
  ["restart", restart],
  ["stand still", standStill],
  ["stand still", standStill],
  ["power loss", powerLoss],
  ["sleep", sleep],
  ["sleep", sleep],
  ["fleet cut off", fleetCutOff],
  ["partition", partition],
  ["isolate", isolate],
  ["detach", detach],
  ["sent to nobody", sentToNobody, "hard"],
  ["break connections", breakConnections],
  ["database down", databaseDown, "hard"],
  ["database slow", databaseSlow, "hard"],
  ["clock jump", clockJump],
  ["owner comes", ownerComes],
  ["cancel", cancelPlan],
];
