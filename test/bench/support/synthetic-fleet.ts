/** A fleet in which tasks begin and end, made by chance from a seed: kinds of machines as in a GPU cluster, 100 shapes of tasks. */
import {
  type MachineFacts,
  MachineKinds,
  type MachineOf,
  normalizeNeeds,
  type Placed,
  type PlacementEngine,
  type PlacementShape,
  placementShape,
} from "@headroom/scheduling";

const CARD_MIB = 24_576;

/** Cores, GiB, cards, model, weight: a fleet of a few large servers' kinds and many desktops'. */
const KINDS = [
  [96, 384, 8, "G2", 45],
  [104, 512, 2, "T4", 32],
  [16, 120, 2, "P100", 9],
  [128, 768, 8, "G3", 3],
  [32, 128, 4, "V100", 3],
  [64, 256, 2, "P100", 2],
  [8, 32, 1, "V100", 2],
  [96, 768, 8, "V100L", 2],
  [96, 384, 4, "T4", 2],
] as const;

interface Machine {
  readonly id: string;
  facts: MachineFacts;
  machine: MachineOf;
}

interface Running {
  readonly on: Machine;
  readonly shape: PlacementShape;
  /** By the machine's own numbering. */
  readonly cards: readonly number[];
}

export class SyntheticFleet {
  readonly #kinds = new MachineKinds();
  readonly #machines: readonly Machine[];
  readonly #byId: ReadonlyMap<string, Machine>;
  readonly #engine: PlacementEngine;
  readonly #random: () => number;
  readonly #running: Running[] = [];

  constructor(machines: number, engine: PlacementEngine, random: () => number) {
    this.#engine = engine;
    this.#random = random;
    const total = KINDS.reduce((sum, [, , , , weight]) => sum + weight, 0);
    this.#machines = Array.from({ length: machines }, (_, index) => {
      let left = random() * total;
      const facts = factsOf(KINDS.find(([, , , , weight]) => (left -= weight) < 0) ?? KINDS[0]);
      return { id: String(index).padStart(8, "0"), facts, machine: this.#kinds.machineOf(facts) };
    });
    this.#byId = new Map(this.#machines.map((machine) => [machine.id, machine]));
    for (const { id, machine } of this.#machines) engine.put(id, machine.state);
  }

  get states() {
    return this.#machines.map(({ machine }) => machine.state);
  }

  /** The task begins where it was placed; the engine knows already. */
  begin({ machineId, positions }: Placed, shape: PlacementShape): void {
    const on = this.#byId.get(machineId);
    if (on === undefined) throw new RangeError(`there is no machine ${machineId}`);
    const cards = positions.map((position) => on.machine.order[position] ?? -1);
    this.#change(on, shape, cards, 1);
    this.#running.push({ on, shape, cards });
  }

  /** One that runs ends. */
  endOne(): void {
    const index = Math.floor(this.#random() * this.#running.length);
    const ended = this.#running[index];
    const last = this.#running.pop();
    if (ended === undefined || last === undefined) return;
    if (ended !== last) this.#running[index] = last;
    this.#change(ended.on, ended.shape, ended.cards, -1);
    this.#engine.put(ended.on.id, ended.on.machine.state);
  }

  #change(on: Machine, shape: PlacementShape, cards: readonly number[], sign: 1 | -1): void {
    const { facts } = on;
    on.facts = {
      ...facts,
      cpuMillicores: facts.cpuMillicores - sign * shape.cpuMillicores,
      memoryMib: facts.memoryMib - sign * shape.memoryMib,
      cards: facts.cards.map((card, index) => {
        if (!cards.includes(index)) return card;
        const freeMib = card.freeMib - sign * shape.perCardMib;
        return { ...card, freeMib, canBeWhole: freeMib === card.totalMib };
      }),
    };
    on.machine = this.#kinds.machineOf(on.facts, on.machine);
  }
}

function factsOf([cores, memoryGib, cards, model]: (typeof KINDS)[number]): MachineFacts {
  const card = { model, totalMib: CARD_MIB, freeMib: CARD_MIB, sharedMemory: false, canBeWhole: true };
  return {
    cpuTotalMillicores: cores * 1_000,
    memoryTotalMib: memoryGib * 1_024,
    cpuMillicores: cores * 1_000,
    memoryMib: memoryGib * 1_024,
    cards: Array.from({ length: cards }, () => card),
  };
}

/** A tenth without cards, a hundredth with several, the others shares of a card and whole ones. */
export function taskShapes(random: () => number): readonly PlacementShape[] {
  const cores = [1, 3, 4, 6, 8, 11, 12, 16];
  return Array.from({ length: 100 }, (_, index) => {
    const gpuCount = index % 10 === 9 ? 0 : index % 33 === 32 ? 2 : 1;
    const share = gpuCount > 1 || random() < 0.5 ? 1 : Math.ceil(random() * 20) / 20;
    return placementShape(
      normalizeNeeds({
        cpuMillicores: (cores[Math.floor(random() * cores.length)] ?? 1) * 1_000 * gpuCount || 8_000,
        memoryMib: 1_024 * Math.ceil(random() * 16),
        gpuCount,
        gpuVramMib: gpuCount > 0 ? Math.floor(CARD_MIB * share) : 0,
        gpuExclusive: false,
      }),
    );
  });
}
