/**
 * Places tasks on a fleet by a rule. It keeps what the rule says per distinct state of a machine and shape of task, and asks again
 * only about what has changed: the cost of a placement hardly depends on the size of the fleet.
 */
import { copyState, type MachineState } from "./machine-state.ts";
import type { FleetFacts, PlacementRule, RuleMaker } from "./rules.ts";
import type { PlacementShape } from "./shape.ts";
import { type Admits, ShapeRanking } from "./shape-ranking.ts";
import { StateSlots } from "./state-slots.ts";
import { TaskMix } from "./task-mix.ts";

export interface Placed {
  readonly machineId: string;
  /** Positions of the cards taken, in the order of the machine's state before. */
  readonly positions: readonly number[];
  /** The machine afterwards. Nothing is taken until it is put. */
  readonly after: MachineState;
}

/** Shapes whose rankings are kept. */
const MAX_RANKINGS = 1_024;
/** The mix is learned anew after so many arrivals at first, and then each time their number has grown by that factor. */
const FIRST_LESSON = 50;
const LESSON_GROWTH = 1.6;
/** But at least that often: tasks of other shapes may come. */
const MAX_LESSON = 10_000;

const admitsAll: Admits = () => true;

export class PlacementEngine {
  readonly #slots = new StateSlots();
  readonly #maker: RuleMaker;
  readonly #mix: TaskMix;
  readonly #rankings = new Map<string, ShapeRanking>();
  readonly #scratch: MachineState;
  #rule: PlacementRule | null = null;
  #facts: FleetFacts | null = null;
  #nextLesson = 0;

  constructor(maker: RuleMaker, mix: TaskMix = new TaskMix()) {
    this.#maker = maker;
    this.#mix = mix;
    const kind = { key: "", cpuTotalMillicores: 0, memoryTotalMib: 0, cardClasses: [], admission: null };
    this.#scratch = { kind, cpuMillicores: 0, memoryMib: 0, cards: [], vramMib: 0 };
  }

  get mix(): TaskMix {
    return this.#mix;
  }

  get distinctStates(): number {
    return this.#slots.slotCount;
  }

  stateOf(machineId: string): MachineState | undefined {
    return this.#slots.stateOf(machineId);
  }

  /** What is free on a machine now. */
  put(machineId: string, state: MachineState): void {
    if (this.#slots.stateOf(machineId)?.kind !== state.kind) this.#facts = null;
    this.#slots.put(machineId, state);
  }

  remove(machineId: string): void {
    this.#slots.remove(machineId);
    this.#facts = null;
  }

  /** Where a task of this shape goes; null: it fits nowhere. Ties go to the first name. */
  choose(shape: PlacementShape, admits: Admits = admitsAll): Placed | null {
    const ranking = this.#rankingOf(shape, admits);
    const best = ranking.best();
    if (best === null) return null;
    let placed: Placed | null = null;
    ranking.takeBest(best.state, (positions, after) => {
      placed = { machineId: best.machineId, positions: [...positions], after: copyState(after) };
    });
    return placed;
  }

  /** What the rule says of putting the task on a machine in this state; -Infinity: it does not fit. */
  scoreOf(state: MachineState, shape: PlacementShape, admits: Admits = admitsAll): number {
    return this.#rankingOf(shape, admits).scoreOf(state);
  }

  #rankingOf(shape: PlacementShape, admits: Admits): ShapeRanking {
    this.#learn();
    const known = this.#rankings.get(shape.key);
    if (known !== undefined) return known;
    if (this.#rankings.size >= MAX_RANKINGS) this.#rankings.clear();
    const ranking = new ShapeRanking(this.#slots, this.#currentRule(), shape, admits, this.#scratch);
    this.#rankings.set(shape.key, ranking);
    return ranking;
  }

  #currentRule(): PlacementRule {
    return (this.#rule ??= this.#maker.make(this.#fleetFacts(), this.#mix));
  }

  /** Makes the rule anew when the fleet is another, or enough has been learned since. */
  #learn(): void {
    const isDue = this.#maker.learns && this.#mix.arrivals >= this.#nextLesson;
    if (this.#facts !== null && !isDue) return;
    this.#rule = null;
    this.#rankings.clear();
    this.#fleetFacts();
    const { arrivals } = this.#mix;
    this.#nextLesson = Math.max(FIRST_LESSON, Math.min(arrivals * LESSON_GROWTH, arrivals + MAX_LESSON));
  }

  #fleetFacts(): FleetFacts {
    return (this.#facts ??= factsOf(this.#slots));
  }
}

function factsOf(slots: StateSlots): FleetFacts {
  let maxCpuMillicores = 0;
  let maxVramMib = 0;
  let cards = 0;
  let vram = 0;
  for (const { state, count } of slots.slots) {
    const ofMachine = state.kind.cardClasses.reduce((sum, { totalMib }) => sum + totalMib, 0);
    maxCpuMillicores = Math.max(maxCpuMillicores, state.kind.cpuTotalMillicores);
    maxVramMib = Math.max(maxVramMib, ofMachine);
    cards += state.kind.cardClasses.length * count;
    vram += ofMachine * count;
  }
  return { maxCpuMillicores, maxVramMib, meanCardMib: cards > 0 ? vram / cards : 0 };
}
