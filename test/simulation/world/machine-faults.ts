/** What befalls desktops: their power, their sleep, their owners, and plans that are cancelled just before they go. */
import { keepaliveMs } from "../network/links.ts";
import { comesBack, cutOff, saysGoodbye } from "./befall.ts";
import { between, type Fault, oneOf } from "./fault.ts";
import { noUse } from "./machine.ts";
import type { World } from "./world.ts";

function switchOff(world: World, index: number, downMs: number): void {
  const node = world.agents[index]!;
  node.die(true);
  world.machines[index]!.losePower();
  world.deadConnectionsUntilMs = world.engine.nowMs + keepaliveMs;
  comesBack(world, node, downMs);
}

export const powerLoss: Fault = (world, random) => {
  const index = random.int(0, world.agents.length - 1);
  const node = world.agents[index]!;
  const downMs = between(random, 5_000, 120_000);
  switchOff(world, index, downMs);
  return `${node.name} for ${Math.round(downMs)} ms`;
};

/** For so long that others are full without it: below their threshold, while it would have room. */
export const longPowerLoss: Fault = (world) => {
  const downMs = 110_000;
  switchOff(world, 0, downMs);
  return `${world.agents[0]!.name} for ${downMs} ms`;
};

/**
 * The machine is suspended, with its agent and its commands, which are told when it is back if they were told before. When it wakes its network may be
 * late: nobody tells the agent then that its leases are over.
 */
function suspend(world: World, index: number, nap: { forMs: number; networkLateMs: number; isTold: boolean }): void {
  const node = world.agents[index]!;
  const machine = world.machines[index]!;
  const { process } = node;
  if (world.isMended || process === null || process.isPaused) return;
  const { sleepListener } = machine;
  process.pause();
  const { links } = world.network;
  links.fallsAsleep(process);
  machine.fallAsleep(() => links.wakes(process));
  cutOff(world, node, [...world.registries, ...world.orchestrators], nap.forMs + nap.networkLateMs);
  world.engine.schedule(nap.forMs, null, `${node.name} wakes`, () => {
    machine.wake();
    process.resume();
    if (sleepListener !== null && nap.isTold) process.do("is told that it is back", () => sleepListener.back());
  });
}

/** Where its system tells, the agent is told before. */
export const sleep: Fault = (world, random) => {
  const index = random.int(0, world.agents.length - 1);
  const node = world.agents[index]!;
  const forMs = random.next() < 0.5 ? between(random, 2_000, 60_000) : between(random, 60_000, 420_000);
  const nap = { forMs, networkLateMs: random.next() < 0.4 ? between(random, 5_000, 60_000) : 0 };
  const isTold = random.next() < 0.5;
  const { process } = node;
  const { sleepListener } = world.machines[index]!;
  if (process === null || process.isPaused) return `${node.name}, which is not awake`;
  if (sleepListener === null || !isTold) suspend(world, index, { ...nap, isTold: false });
  else {
    process.do("is told that it will sleep", () => {
      saysGoodbye(world, node);
      void sleepListener.announced();
      world.engine.schedule(3_000, null, `${node.name} falls asleep`, () => {
        if (node.process === process) suspend(world, index, { ...nap, isTold });
      });
    });
  }
  return `${node.name} for ${Math.round(forMs)} ms${isTold ? ", told before" : ""}`;
};

/** Over a command that has long to go, for longer than a lease and the grace after it: what slept may be another's when it wakes. */
export const sleepOverWork: Fault = (world, random) => {
  const nap = { forMs: between(random, 50_000, 80_000), networkLateMs: between(random, 5_000, 40_000), isTold: false };
  const longMs = 8_000;
  let patience = 60;
  const look = (): void => {
    const index = world.machines.findIndex((machine) => machine.longestLeftMs >= longMs);
    patience -= 1;
    if (index >= 0) suspend(world, index, nap);
    else if (patience > 0) world.engine.schedule(500, null, "nobody has much to sleep over", look);
  };
  look();
  return `of whoever has a long command next, for ${Math.round(nap.forMs)} ms`;
};

/** Everybody goes home, and nobody is told; what comes a moment before the connections are given up is given to none of them. */
export const allSleep: Fault = (world, random) => {
  const forMs = between(random, 45_000, 80_000);
  const inMs = between(random, 29_000, 37_000);
  for (const index of world.machines.keys()) suspend(world, index, { forMs, networkLateMs: 0, isTold: false });
  world.engine.schedule(inMs, null, "work comes for machines that sleep", () => {
    if (!world.isMended) world.planner.crowd();
  });
  return `for ${Math.round(forMs)} ms, and work comes after ${Math.round(inMs)}`;
};

export const ownerComes: Fault = (world, random) => {
  const machine = oneOf(random, world.machines);
  const forMs = between(random, 1_000, 60_000);
  if (random.next() < 0.5) machine.ownerHold = "mine";
  else machine.ownerUses({ ...noUse, cores: random.int(1, machine.shape.cpuCores) });
  world.engine.schedule(forMs, null, `the owner of ${machine.name} goes`, () => {
    machine.ownerHold = null;
    machine.ownerUses(noUse);
  });
  return `${machine.name} for ${Math.round(forMs)} ms`;
};

/** For longer, of memory and cards too; and what Headroom runs there takes more than it asked for. */
export const ownerUses: Fault = (world, random) => {
  const machine = oneOf(random, world.machines);
  const { cpuCores, memoryMib, cards } = machine.shape;
  const forMs = between(random, 30_000, 150_000);
  machine.ownerUses({
    cores: random.int(0, cpuCores),
    memoryMib: random.int(0, memoryMib),
    vramMib: random.int(0, Math.max(0, ...cards.map((card) => card.vramMib))),
  });
  if (random.next() < 0.5) machine.overuse = random.int(2, 3);
  world.engine.schedule(forMs, null, `the owner of ${machine.name} stops`, () => {
    machine.ownerUses(noUse);
    machine.overuse = 1;
  });
  return `${machine.name} for ${Math.round(forMs)} ms`;
};

/** What runs of it may end otherwise than by being cancelled: with its machine. */
export const cancelPlan: Fault = (world, random) => {
  world.planner.cancelOne();
  const index = random.int(0, world.agents.length - 1);
  const node = world.agents[index]!;
  if (random.next() < 0.5) return "one of those accepted";
  const inMs = between(random, 1, 60);
  const downMs = between(random, 1_000, 60_000);
  world.engine.schedule(inMs, null, `${node.name} is switched off`, () => {
    if (!world.isMended) switchOff(world, index, downMs);
  });
  return `one of those accepted, and ${node.name} loses its power`;
};

/** A plan as soon as it is accepted; half of the time the database does not hear of it. */
export const cancelAtOnce: Fault = ({ planner, postgres }, random) => {
  const isLost = random.next() < 0.5;
  planner.submitAndCancel(() => {
    if (isLost) postgres.loseNext("tasks_lock_to_cancel_plan");
  });
  return `the next plan${isLost ? ", which is not written" : ""}`;
};

/** The disk of a machine is copied to another one, which is switched on beside it. */
export const copied: Fault = (world, random) => {
  const index = random.int(0, world.machines.length - 1);
  const forMs = between(random, 20_000, 110_000);
  const { name } = world.machines[index]!;
  const isBegun = world.copies.begin(world, index, forMs);
  return isBegun ? `${name} for ${Math.round(forMs)} ms` : `${name}, which is not well`;
};
