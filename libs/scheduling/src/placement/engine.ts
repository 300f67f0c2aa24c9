/**
 * Places tasks on a fleet by a rule. It keeps what the rule says per distinct state of a machine and shape of task, and asks again
 * only about what has changed: the cost of a placement hardly depends on the size of the fleet.
 */
import { seededRandom } from "./arrivals.ts";
import { CardHistory } from "./card-history.ts";
import { fleetFacts, nextLessonAfter, sampled } from "./lessons.ts";
import type { MachineState } from "./machine-state.ts";
import type { PlacementRule, RuleMaker } from "./rules.ts";
import type { PlacementShape } from "./shape.ts";
import { type Accepts, ShapeRanking, type Way } from "./shape-ranking.ts";
import { StateSlots } from "./state-slots.ts";
import { TaskMix } from "./task-mix.ts";

export interface Placed {
  readonly machineId: string;
  /** Positions of the cards taken, in the order of the machine's state before. */
  readonly positions: readonly number[];
  /** The machine afterwards. Nothing is taken until it is put. */
  readonly after: MachineState;
}

/** What a policy has seen: kept when another fleet, or another policy, goes on with it. */
export interface Experience {
  readonly mix: TaskMix;
  readonly history: CardHistory;
}

/** Shapes whose rankings are kept; fewer on a large fleet, whose rankings are longer. */
const MAX_RANKINGS = 1_024;
const MAX_RANKED = 8_000_000;
/** Draws before all machines are looked at. */
const RANDOM_DRAWS = 64;
/** With so much of the fleet new or gone, what was made of it is made anew. */
const FLEET_CHANGE = 0.1;

const acceptsAll: Accepts = () => true;

export class PlacementEngine {
  readonly #slots: StateSlots;
  readonly #maker: RuleMaker;
  readonly #mix: TaskMix;
  readonly #history: CardHistory;
  /** By the shape's amounts, the one asked for longest ago first. */
  readonly #rankings = new Map<string, ShapeRanking>();
  readonly #scratch: MachineState;
  #rule: PlacementRule | null = null;
  #nextLesson = 0;
  /** Machines when the rule was made. */
  #machinesThen = 0;
  readonly #random: (() => number) | null;
  #ids: readonly string[] = [];
  #membershipThen = -1;
  #sharesMemory = false;

  constructor(maker: RuleMaker, experience?: Experience, slots: StateSlots = new StateSlots()) {
    this.#maker = maker;
    this.#mix = experience?.mix ?? new TaskMix();
    this.#history = experience?.history ?? new CardHistory();
    this.#slots = slots;
    this.#random = maker.random === undefined ? null : seededRandom(maker.random);
    const kind = { key: "", cpuTotalMillicores: 0, memoryTotalMib: 0, cardClasses: [], sharesMemory: false };
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
    for (const { state } of this.#slots.slots()) if (matches(state)) return true;
    return false;
  }

  /** What is free on a machine now. */
  put(machineId: string, state: MachineState): void {
    this.#slots.put(machineId, state);
  }

  remove(machineId: string): void {
    this.#slots.remove(machineId);
  }

  /** The task has been put there. */
  take(placed: Placed, shape: PlacementShape): void {
    this.note(placed, shape);
    this.put(placed.machineId, placed.after);
  }

  /** What was chosen is learned from. The machine must still be as it was then. */
  note({ machineId, positions }: Pick<Placed, "machineId" | "positions">, shape: PlacementShape): void {
    const before = this.#slots.stateOf(machineId);
    if (before !== undefined && this.#maker.learns) this.#history.note(before, positions, shape);
  }

  /** Where a task of this shape goes, among the machines that are accepted; null: it fits on none. Ties go to the first name. */
  choose(shape: PlacementShape, accepts: Accepts = acceptsAll): Placed | null {
    const ranking = this.#rankingOf(shape);
    const { memoryMib } = shape;
    const fits: Accepts = (machineId) => {
      return (this.#slots.stateOf(machineId)?.memoryMib ?? -1) >= memoryMib && accepts(machineId);
    };
    const machineId = this.#random === null ? ranking.best(fits)?.machineId : this.#anyOf(ranking, fits, this.#random);
    const state = machineId === undefined ? undefined : this.#slots.stateOf(machineId);
    const way = state === undefined ? null : ranking.bestWay(state, shape);
    return way === null || machineId === undefined ? null : { machineId, positions: way.positions, after: way.after };
  }

  /** The same among a few: each is looked at. */
  chooseOf(machineIds: Iterable<string>, shape: PlacementShape, accepts: Accepts = acceptsAll): Placed | null {
    // Also where there is none to look at: what is learned must not hang on how a question is answered.
    this.#currentRule();
    let best: (Way & { readonly machineId: string }) | null = null;
    for (const machineId of machineIds) {
      const state = this.#slots.stateOf(machineId);
      const way = state === undefined || !accepts(machineId) ? null : this.bestWay(state, shape);
      if (way === null) continue;
      const isBetter =
        best === null || way.score > best.score || (way.score === best.score && machineId < best.machineId);
      if (isBetter) best = { machineId, ...way };
    }
    return best;
  }

  /** What the rule says of putting the task on a machine in this state; -Infinity: it does not fit. */
  scoreOf(state: MachineState, shape: PlacementShape): number {
    return state.memoryMib < shape.memoryMib ? -Infinity : this.#rankingOf(shape).scoreOf(state);
  }

  /** The best way to put the task on a machine in this state; null: it does not fit. */
  bestWay(state: MachineState, shape: PlacementShape): Way | null {
    return state.memoryMib < shape.memoryMib ? null : this.#rankingOf(shape).bestWay(state, shape);
  }

  /** By chance: as many draws as a fleet with some room needs, then all that fit. */
  #anyOf(ranking: ShapeRanking, fits: Accepts, random: () => number): string | undefined {
    const ids = this.#machineIds();
    const holds = (machineId: string): boolean => {
      const state = this.#slots.stateOf(machineId);
      return state !== undefined && fits(machineId) && ranking.scoreOf(state) > -Infinity;
    };
    for (let draw = 0; draw < RANDOM_DRAWS; draw += 1) {
      const machineId = ids[Math.floor(random() * ids.length)] ?? "";
      if (holds(machineId)) return machineId;
    }
    const fitting = ids.filter(holds);
    return fitting[Math.floor(random() * fitting.length)];
  }

  #machineIds(): readonly string[] {
    if (this.#membershipThen !== this.#slots.membership) {
      this.#membershipThen = this.#slots.membership;
      this.#ids = this.#slots.machineIds();
    }
    return this.#ids;
  }

  #rankingOf(shape: PlacementShape): ShapeRanking {
    const rule = this.#currentRule();
    if (this.#sharesMemory !== this.#slots.sharesMemory) {
      this.#sharesMemory = this.#slots.sharesMemory;
      this.#rankings.clear();
    }
    // Where cards share the memory, it decides what fits on them.
    const key = this.#sharesMemory ? `${shape.amountsKey} ${shape.memoryMib}` : shape.amountsKey;
    const known = this.#rankings.get(key);
    const ranking = known ?? this.#rank(rule, shape);
    ranking.follow(rule);
    this.#rankings.delete(key);
    this.#rankings.set(key, ranking);
    if (known === undefined) this.#forgetOldest();
    return ranking;
  }

  #rank(rule: PlacementRule, shape: PlacementShape): ShapeRanking {
    const ranked = this.#sharesMemory ? shape : { ...shape, memoryMib: 0 };
    return new ShapeRanking(this.#slots, rule, ranked, this.#maker.cards, this.#scratch);
  }

  #forgetOldest(): void {
    const most = Math.min(MAX_RANKINGS, Math.max(8, MAX_RANKED / this.#slots.capacity));
    for (const key of this.#rankings.keys()) {
      if (this.#rankings.size <= most) return;
      this.#rankings.delete(key);
    }
  }

  /** The rule, made anew when enough has been learned since, or the fleet is another. */
  #currentRule(): PlacementRule {
    const { arrivals } = this.#mix;
    const { machineCount } = this.#slots;
    const isDue = this.#maker.learns && arrivals >= this.#nextLesson;
    const isChanged = Math.abs(machineCount - this.#machinesThen) > FLEET_CHANGE * this.#machinesThen;
    if (this.#rule !== null && !isDue && !isChanged) return this.#rule;
    const states = sampled(this.#slots);
    if (this.#maker.learns) this.#history.count(states, arrivals);
    this.#nextLesson = nextLessonAfter(arrivals);
    this.#machinesThen = machineCount;
    this.#rule = this.#maker.make(fleetFacts(states), this.#mix, this.#history);
    return this.#rule;
  }
}
