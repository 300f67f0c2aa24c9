/** What befalls desktops: their power, their sleep, their owners, and plans that are cancelled just before they go. */
import type { SeededRandom } from "@headroom/testing";
import { comesBack, cutOff, saysGoodbye } from "./befall.ts";
import { between, type Fault, oneOf } from "./fault.ts";

export const powerLoss: Fault = (world, random) => {
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

/** Short; longer than leases, and over before the storm is; longer than any lease. */
const sleepsMs: readonly ((random: SeededRandom) => number)[] = [
  (random) => between(random, 2_000, 60_000),
  (random) => between(random, 50_000, 95_000),
  (random) => between(random, 60_000, 420_000),
];

/**
 * The machine is suspended, with its agent and its commands; where its system tells, they are told before. When it wakes its network may
 * take a while: nobody tells the agent then that its leases are over.
 */
export const sleep: Fault = (world, random) => {
  const index = random.int(0, world.agents.length - 1);
  const node = world.agents[index]!;
  const machine = world.machines[index]!;
  const forMs = oneOf(random, sleepsMs)(random);
  const isTold = random.next() < 0.5;
  // Some fall asleep over their work: what runs then may be given up before they wake.
  let patience = isTold || random.next() < 0.5 ? 0 : 40;
  const cutOffMs = forMs + (random.next() < 0.4 ? between(random, 5_000, 60_000) : 0);
  const { process } = node;
  if (process === null || process.isPaused) return `${node.name}, which is not awake`;
  const { sleepListener } = machine;
  const fallAsleep = (): void => {
    if (world.isMended || process.isDead || process.isPaused) return;
    if (machine.running === 0 && patience > 0) {
      patience -= 1;
      world.engine.schedule(500, null, `${node.name} has nothing to sleep over`, fallAsleep);
      return;
    }
    process.pause();
    machine.fallAsleep();
    cutOff(world, node, [...world.registries, ...world.orchestrators], cutOffMs);
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

export const ownerComes: Fault = (world, random) => {
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

/** What runs of it may end otherwise than by being cancelled: with its machine. */
export const cancelPlan: Fault = (world, random) => {
  world.planner.cancelOne();
  const index = random.int(0, world.agents.length - 1);
  const node = world.agents[index]!;
  if (random.next() < 0.5) return "one of those accepted";
  const inMs = between(random, 1, 60);
  const downMs = between(random, 1_000, 60_000);
  world.engine.schedule(inMs, null, `${node.name} is switched off`, () => {
    if (world.isMended) return;
    node.die(true);
    world.machines[index]!.losePower();
    comesBack(world, node, downMs);
  });
  return `one of those accepted, and ${node.name} loses its power`;
};
