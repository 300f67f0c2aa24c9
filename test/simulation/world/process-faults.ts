/** Programs that die, stand still, start anew. */
import type { SeededRandom } from "@headroom/testing";
import type { SimProcess } from "../engine/sim-process.ts";
import { anyNode, awayAtMost, comesBack, cutOff, isOnSleepingMachine, pause, saysGoodbye } from "./befall.ts";
import { between, type Fault, oneOf } from "./fault.ts";
import type { SimNode } from "./node.ts";
import type { World } from "./world.ts";

export const kill: Fault = (world, random) => {
  const node = anyNode(world, random);
  const wantedMs = between(random, 100, 40_000);
  if (isOnSleepingMachine(world, node)) return `${node.name}, whose machine sleeps`;
  node.die(false);
  const downMs = awayAtMost(world, node, wantedMs);
  comesBack(world, node, downMs);
  return `${node.name} for ${Math.round(downMs)} ms`;
};

export const restart: Fault = (world, random) => {
  const node = anyNode(world, random);
  if (isOnSleepingMachine(world, node)) return `${node.name}, whose machine sleeps`;
  saysGoodbye(world, node);
  node.stop(() => comesBack(world, node, between(random, 100, 5_000)));
  return node.name;
};

export const standStill: Fault = (world, random) => {
  const node = anyNode(world, random);
  const forMs = between(random, 500, 60_000);
  if (isOnSleepingMachine(world, node)) return `${node.name}, whose machine sleeps`;
  pause(world, node, forMs);
  return `${node.name} for ${Math.round(forMs)} ms`;
};

export const clockJump: Fault = (world, random) => {
  const node = anyNode(world, random);
  const byMs = random.int(-7_200_000, 7_200_000);
  node.process?.jumpClock(byMs);
  return `${node.name} by ${byMs} ms`;
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
  "attempts_report_at_once",
  "COMMIT",
];
const momentsOfRegistries = ["registry_commit_reservations", "registry_write_statuses", "registry_admit"];

interface Moment {
  readonly statement: string | null;
  readonly times: number;
  /** When the change is done, and nobody has been told: after the COMMIT that follows. */
  readonly isCommitted: boolean;
  readonly text: string;
}

function someMoment({ registries }: World, node: SimNode, random: SeededRandom): Moment {
  const times = random.int(1, 60);
  if (random.next() < 0.5) return { statement: null, times, isCommitted: false, text: `${times} statements` };
  const few = 1 + (times % 4);
  const isRegistry = registries.includes(node);
  const statement = oneOf(random, isRegistry ? momentsOfRegistries : momentsOfOrchestrators);
  const isCommitted = !isRegistry && random.next() < 0.5;
  return { statement, times: few, isCommitted, text: `${few} times ${statement}${isCommitted ? ", committed" : ""}` };
}

function befallAt({ postgres }: World, process: SimProcess, moment: Moment, befall: () => void): void {
  const { statement, times, isCommitted } = moment;
  postgres.befallAfter(process, statement, times, () => {
    if (isCommitted) postgres.befallAfter(process, "COMMIT", 1, befall);
    else befall();
  });
}

export const killAtStatement: Fault = (world, random) => {
  const node = oneOf(random, [...world.orchestrators, ...world.orchestrators, ...world.registries]);
  const { process } = node;
  const moment = someMoment(world, node, random);
  const downMs = between(random, 100, 20_000);
  if (process === null) return `${node.name}, which is not there`;
  befallAt(world, process, moment, () => {
    if (node.process !== process || world.isMended) return;
    node.die(false);
    comesBack(world, node, downMs);
  });
  return `${node.name} after ${moment.text}, for ${Math.round(downMs)} ms`;
};

/** It hears how work ended, cannot tell the registries that the room is free, and dies with that. */
export const killOwing: Fault = (world, random) => {
  const node = oneOf(random, world.orchestrators);
  const { process } = node;
  const forMs = between(random, 8_000, 25_000);
  const downMs = between(random, 100, 20_000);
  if (process === null) return `${node.name}, which is not there`;
  cutOff(world, node, world.registries, forMs + 1_000);
  world.engine.schedule(forMs, null, `${node.name} dies owing`, () => {
    if (node.process !== process || world.isMended) return;
    node.die(false);
    comesBack(world, node, downMs);
  });
  return `${node.name}, cut off from the registries for ${Math.round(forMs)} ms, for ${Math.round(downMs)} ms`;
};

/** In the middle of its work, and for longer than its claims: others take that over meanwhile. */
export const standStillAtStatement: Fault = (world, random) => {
  const node = oneOf(random, world.orchestrators);
  const { process } = node;
  const moment = someMoment(world, node, random);
  const forMs = between(random, 4_000, 25_000);
  if (process === null) return `${node.name}, which is not there`;
  befallAt(world, process, moment, () => {
    if (node.process === process && !world.isMended) pause(world, node, forMs);
  });
  return `${node.name} after ${moment.text}, for ${Math.round(forMs)} ms`;
};

/** It has been promised room, and does not know it: whoever takes its claim over asks for the same room again. */
export const standStillWithRoom: Fault = (world, random) => {
  const node = oneOf(random, world.orchestrators);
  const { process } = node;
  const forMs = between(random, 6_000, 25_000);
  if (process === null) return `${node.name}, which is not there`;
  world.network.links.befallAtAnswer(process, "/ReserveCapacity", () => {
    if (node.process === process && !world.isMended) pause(world, node, forMs);
  });
  return `${node.name}, promised room, for ${Math.round(forMs)} ms`;
};
