import type { SimNode } from "./node.ts";
import type { World } from "./world.ts";

/** How often each kind of fault was made. */
export type FaultCounts = Readonly<Record<string, number>>;

type Fault = (world: World) => string;

/**
 * Bad things, at random times and in random numbers. Each is numbered, so that a failing run can be tried again with fewer of them: what
 * is random within one comes from a source of its own.
 */
export class Faults {
  readonly counts: Record<string, number> = {};
  readonly #world: World;
  readonly #isWanted: (number: number) => boolean;
  #isOver = false;

  constructor(world: World, isWanted: (number: number) => boolean) {
    this.#world = world;
    this.#isWanted = isWanted;
  }

  /** Plans what goes wrong within so long. */
  plan(forMs: number): void {
    const { engine, network, postgres } = this.#world;
    const { random } = engine;
    const count = random.int(0, 14);
    for (let number = 0; number < count; number += 1) {
      const atMs = 2_000 + random.next() * (forMs - 2_000);
      const [kind, fault] = kinds[random.int(0, kinds.length - 1)]!;
      if (!this.#isWanted(number)) continue;
      engine.schedule(atMs, null, `fault ${number}`, () => {
        if (this.#isOver) return;
        this.counts[kind] = (this.counts[kind] ?? 0) + 1;
        engine.note("FAULT", `${number} ${kind}: ${fault(this.#world)}`);
      });
    }
    const weather = (chance: number, least: number, most: number): number =>
      random.next() < chance ? least + random.next() * (most - least) : 0;
    network.links.weather.slow = weather(0.3, 0.01, 0.1);
    network.links.weather.slowMs = 3_000;
    network.links.weather.breaks = weather(0.4, 0.000_5, 0.01);
    network.links.weather.doubles = weather(0.5, 0.01, 0.2);
    postgres.weather.lostBefore = weather(0.3, 0.000_5, 0.01);
    postgres.weather.lostAfter = weather(0.3, 0.000_5, 0.01);
    postgres.weather.conflicts = weather(0.3, 0.001, 0.05);
    postgres.weather.unheard = weather(0.4, 0.05, 1);
    postgres.clockOffsetMs = random.next() < 0.3 ? random.int(-3_600_000, 3_600_000) : 0;
  }

  /** All is mended, and nothing bad happens from now on. */
  end(): void {
    this.#isOver = true;
    const { network, postgres, registries, orchestrators, agents, machines, engine } = this.#world;
    engine.note("FAULT", "all is mended");
    Object.assign(network.links.weather, { slow: 0, breaks: 0, doubles: 0 });
    Object.assign(postgres.weather, { lostBefore: 0, lostAfter: 0, conflicts: 0, unheard: 0 });
    Object.assign(postgres.weather.delayMs, { min: 0.2, max: 2 });
    network.links.healAll();
    postgres.comeBack();
    for (const machine of machines) machine.ownerHold = null;
    for (const machine of machines) machine.ownerCores = 0;
    for (const node of [...registries, ...orchestrators, ...agents]) {
      node.process?.resume();
      node.start();
    }
  }
}

function oneOf<T>({ engine }: World, values: readonly T[]): T {
  return values[engine.random.int(0, values.length - 1)]!;
}

function between({ engine }: World, least: number, most: number): number {
  return least + engine.random.next() * (most - least);
}

function anyNode(world: World): SimNode {
  return oneOf(world, [...world.registries, ...world.orchestrators, ...world.agents]);
}

function comesBack(world: World, node: SimNode, afterMs: number): void {
  world.engine.schedule(afterMs, null, `${node.name} is switched on`, () => node.start());
}

/** A process that holds a transaction open is stopped right after it: else it would hold the whole database up. */
function pause(world: World, node: SimNode, forMs: number): void {
  const { process } = node;
  if (process === null) return;
  process.pause();
  world.engine.schedule(forMs, null, `${node.name} goes on`, () => process.resume());
}

const kill: Fault = (world) => {
  const node = anyNode(world);
  const downMs = between(world, 100, 40_000);
  node.die(false);
  comesBack(world, node, downMs);
  return `${node.name} for ${Math.round(downMs)} ms`;
};

const restart: Fault = (world) => {
  const node = anyNode(world);
  node.stop(() => comesBack(world, node, between(world, 100, 5_000)));
  return node.name;
};

const standStill: Fault = (world) => {
  const node = anyNode(world);
  const forMs = between(world, 500, 60_000);
  pause(world, node, forMs);
  return `${node.name} for ${Math.round(forMs)} ms`;
};

const powerLoss: Fault = (world) => {
  const index = world.engine.random.int(0, world.agents.length - 1);
  const node = world.agents[index]!;
  const downMs = between(world, 5_000, 120_000);
  node.die(true);
  world.machines[index]!.losePower();
  comesBack(world, node, downMs);
  return `${node.name} for ${Math.round(downMs)} ms`;
};

const partition: Fault = (world) => {
  const one = anyNode(world);
  const other = anyNode(world);
  const forMs = between(world, 1_000, 90_000);
  const isOneWay = world.engine.random.next() < 0.4;
  const { links } = world.network;
  links.cut(one.name, other.name, forMs);
  if (!isOneWay) links.cut(other.name, one.name, forMs);
  return `${one.name} ${isOneWay ? "to" : "and"} ${other.name} for ${Math.round(forMs)} ms`;
};

const isolate: Fault = (world) => {
  const node = oneOf(world, world.agents);
  const forMs = between(world, 5_000, 100_000);
  for (const other of [...world.registries, ...world.orchestrators]) {
    world.network.links.cut(node.name, other.name, forMs);
    world.network.links.cut(other.name, node.name, forMs);
  }
  return `${node.name} from all for ${Math.round(forMs)} ms`;
};

const breakConnections: Fault = (world) => {
  const node = anyNode(world);
  for (const other of [...world.registries, ...world.orchestrators, ...world.agents])
    world.network.links.breakBetween(node.name, other.name);
  return `all of ${node.name}`;
};

const databaseDown: Fault = (world) => {
  const forMs = between(world, 200, 30_000);
  world.postgres.goDown();
  world.engine.schedule(forMs, null, "the database is back", () => world.postgres.comeBack());
  return `for ${Math.round(forMs)} ms`;
};

const databaseSlow: Fault = (world) => {
  const forMs = between(world, 1_000, 20_000);
  const { delayMs } = world.postgres.weather;
  Object.assign(delayMs, { min: 50, max: 1_500 });
  world.engine.schedule(forMs, null, "the database is quick again", () => {
    Object.assign(delayMs, { min: 0.2, max: 2 });
  });
  return `for ${Math.round(forMs)} ms`;
};

const clockJump: Fault = (world) => {
  const node = anyNode(world);
  const byMs = world.engine.random.int(-7_200_000, 7_200_000);
  node.process?.jumpClock(byMs);
  return `${node.name} by ${byMs} ms`;
};

const ownerComes: Fault = (world) => {
  const machine = oneOf(world, world.machines);
  const forMs = between(world, 1_000, 60_000);
  if (world.engine.random.next() < 0.5) machine.ownerHold = "mine";
  else machine.ownerCores = world.engine.random.int(1, machine.shape.cpuCores);
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

const kinds: readonly (readonly [string, Fault])[] = [
  ["kill", kill],
  ["kill", kill],
  ["restart", restart],
  ["stand still", standStill],
  ["stand still", standStill],
  ["power loss", powerLoss],
  ["partition", partition],
  ["isolate", isolate],
  ["break connections", breakConnections],
  ["database down", databaseDown],
  ["database slow", databaseSlow],
  ["clock jump", clockJump],
  ["owner comes", ownerComes],
  ["cancel", cancelPlan],
];
