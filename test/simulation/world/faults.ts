import { SeededRandom } from "@headroom/testing";
import { goOn } from "./befall.ts";
import { disturbances, livelyDisturbances, richerDisturbances } from "./disturbances.ts";
import type { Fault } from "./fault.ts";
import { longPowerLoss } from "./machine-faults.ts";
import { noUse } from "./machine.ts";
import { fleetLost } from "./network-faults.ts";
import { weathers } from "./weathers.ts";
import type { World } from "./world.ts";

/** How often each kind of fault was made. */
export type FaultCounts = Readonly<Record<string, number>>;

/** Weathers are numbered from here on. */
const firstWeather = 100;

/**
 * Bad things, at random times and in random numbers. Each is numbered, so that a failing run can be tried again with fewer of them: what
 * is random within one comes from a source of its own.
 */
export class Faults {
  readonly counts: Record<string, number> = {};
  /** Numbers of those that were made. */
  readonly made: number[] = [];
  readonly #world: World;
  readonly #isWanted: (number: number) => boolean;
  #isOver = false;

  constructor(world: World, isWanted: (number: number) => boolean) {
    this.#world = world;
    this.#isWanted = isWanted;
  }

  /** Plans what goes wrong within so long. */
  plan(forMs: number): void {
    const { engine, looksRarely, fleet, isLively, isRicher } = this.#world;
    const known = isRicher ? richerDisturbances : isLively ? livelyDisturbances : disturbances;
    const usable = looksRarely ? known.filter(([, , isHard]) => isHard !== "hard") : known;
    const count = fleet === "quiet" ? 0 : engine.random.int(0, isLively ? 22 : 14);
    for (let number = 0; number < count; number += 1) {
      const atMs = 2_000 + engine.random.next() * (forMs - 2_000);
      const [kind, fault] = usable[engine.random.int(0, usable.length - 1)]!;
      const random = new SeededRandom(engine.random.int(0, 2 ** 31));
      if (!this.#isWanted(number)) continue;
      engine.schedule(atMs, null, `fault ${number}`, () => {
        if (!this.#isOver) this.#make(number, kind, fault, random);
      });
    }
    if (fleet !== null && this.#isWanted(firstWeather - 1)) {
      const random = new SeededRandom(1);
      engine.schedule(8_000, null, "the fleet is lost", () =>
        this.#make(firstWeather - 1, "fleet cut off", fleetLost, random),
      );
    }
    if (this.#world.isCrowded && this.#isWanted(firstWeather - 2)) {
      const random = new SeededRandom(1);
      engine.schedule(6_000, null, "the largest machine goes", () =>
        this.#make(firstWeather - 2, "long power loss", longPowerLoss, random),
      );
    }
    for (const [index, [kind, fault, isHard]] of weathers.entries()) {
      if ((looksRarely && isHard === "hard") || fleet === "quiet") continue;
      const number = firstWeather + index;
      const random = new SeededRandom(engine.random.int(0, 2 ** 31));
      if (random.next() < 0.35 && this.#isWanted(number)) this.#make(number, kind, fault, random);
    }
  }

  #make(number: number, kind: string, fault: Fault, random: SeededRandom): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    this.made.push(number);
    this.#world.engine.note("FAULT", `${number} ${kind}: ${fault(this.#world, random)}`);
  }

  /** All is mended, and nothing bad happens from now on. */
  end(): void {
    this.#isOver = true;
    this.#world.isMended = true;
    const { network, postgres, registries, orchestrators, agents, machines, engine } = this.#world;
    engine.note("FAULT", "all is mended");
    this.#world.copies.endAll();
    Object.assign(network.links.weather, { slow: 0, breaks: 0, doubles: 0 });
    Object.assign(postgres.weather, { lostBefore: 0, lostAfter: 0, conflicts: 0, unheard: 0 });
    Object.assign(postgres.weather.delayMs, { min: 0.2, max: 2 });
    network.links.tap?.end();
    network.links.healAll();
    postgres.comeBack();
    postgres.spare();
    for (const machine of machines) machine.ownerHold = null;
    for (const machine of machines) machine.ownerUses(noUse);
    for (const machine of machines) machine.overuse = 1;
    for (const machine of machines) machine.wake();
    for (const node of [...registries, ...orchestrators, ...agents]) {
      if (node.process !== null) goOn(this.#world, node, node.process);
      node.start();
    }
  }
}
