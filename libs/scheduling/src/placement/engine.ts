/**
 * Places tasks on a fleet by a rule. It keeps what the rule says per distinct state of a machine and shape of task, and asks again
 * only about what has changed: the cost of a placement hardly depends on the size of the fleet.
 */
import { seededRandom } from "./arrivals.ts";
import { CardHistory } from "./card-history.ts";
import { fleetFacts, nextLessonAfter } from "./lessons.ts";
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
/** Draws before all machines are looked at. */
const RANDOM_DRAWS = 64;

const admitsAll: Admits = () => true;

export class PlacementEngine {
  readonly #slots = new StateSlots();
  readonly #maker: RuleMaker;
  readonly #mix: TaskMix;
  readonly #history = new CardHistory();
  readonly #rankings = new Map<string, ShapeRanking>();
  readonly #scratch: MachineState;
  #rule: PlacementRule | null = null;
  #facts: FleetFacts | null = null;
  #nextLesson = 0;
  readonly #random: (() => number) | null;
  #ids: readonly string[] | null = null;

  constructor(maker: RuleMaker, mix: TaskMix = new TaskMix()) {
    this.#maker = maker;
    this.#mix = mix;
    this.#random = maker.random === undefined ? null : seededRandom(maker.random);
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

  /** Whether any machine's state is such. */
  someState(matches: (state: MachineState) => boolean): boolean {
    for (const { state } of this.#slots.slots) if (matches(state)) return true;
    return false;
  }

  /** What is free on a machine now. */
  put(machineId: string, state: MachineState): void {
    if (this.#slots.stateOf(machineId)?.kind !== state.kind) this.#forgetFleet();
    this.#slots.put(machineId, state);
  }

  remove(machineId: string): void {
    this.#slots.remove(machineId);
    this.#forgetFleet();
  }

  /** The task has been put there. */
  take({ machineId, positions, after }: Placed, shape: PlacementShape): void {
    const before = this.#slots.stateOf(machineId);
    if (before !== undefined && this.#maker.learns) this.#history.note(before, positions, shape);
    this.put(machineId, after);
  }

  /** Where a task of this shape goes; null: it fits nowhere. Ties go to the first name. */
  choose(shape: PlacementShape, admits: Admits = admitsAll): Placed | null {
    const ranking = this.#rankingOf(shape, admits);
    const best = this.#random === null ? ranking.best() : this.#anyOf(ranking, this.#random);
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

  /** By chance: as many draws as a fleet with some room needs, then all that fit. */
  #anyOf(ranking: ShapeRanking, random: () => number): { machineId: string; state: MachineState } | null {
    const ids = (this.#ids ??= this.#slots.machineIds());
    for (let draw = 0; draw < RANDOM_DRAWS; draw += 1) {
      const machineId = ids[Math.floor(random() * ids.length)] ?? "";
      const state = this.#slots.stateOf(machineId);
      if (state !== undefined && ranking.scoreOf(state) > -Infinity) return { machineId, state };
    }
    const fitting = ids.flatMap((machineId) => {
      const state = this.#slots.stateOf(machineId);
      return state !== undefined && ranking.scoreOf(state) > -Infinity ? [{ machineId, state }] : [];
    });
    return fitting[Math.floor(random() * fitting.length)] ?? null;
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
    return (this.#rule ??= this.#maker.make(this.#fleetFacts(), this.#mix, this.#history));
  }

  /** Makes the rule anew when the fleet is another, or enough has been learned since. */
  #learn(): void {
    const isDue = this.#maker.learns && this.#mix.arrivals >= this.#nextLesson;
    if (this.#facts !== null && !isDue) return;
    this.#rule = null;
    this.#rankings.clear();
    this.#fleetFacts();
    const { arrivals } = this.#mix;
    if (this.#maker.learns) this.#history.count(this.#slots.slots, arrivals);
    this.#nextLesson = nextLessonAfter(arrivals);
  }

  #forgetFleet(): void {
    this.#facts = null;
    this.#ids = null;
  }

  #fleetFacts(): FleetFacts {
    return (this.#facts ??= fleetFacts(this.#slots.slots));
  }
}
