/**
 * For one shape of tasks, the states of the fleet by how well they suit it. Only what has changed is scored again; when the rule has
 * learned, the scores are made anew in portions, and until then the earlier ones stand.
 */
import { Heap } from "./heap.ts";
import { copyState, type MachineKind, type MachineState } from "./machine-state.ts";
import { forEachOption } from "./options.ts";
import type { PlacementRule, RuleMaker } from "./rules.ts";
import { admittedCards, type PlacementShape } from "./shape.ts";
import { SlotHeap } from "./slot-heap.ts";
import type { Slot, StateSlots } from "./state-slots.ts";

/** A machine, and what the rule says of putting the task there. */
export interface Suited {
  readonly machineId: string;
  readonly score: number;
}

/** A way to put the task on a machine. */
export interface Way {
  readonly score: number;
  readonly positions: readonly number[];
  readonly after: MachineState;
}

/** Whether the machine may be used: what the rules do not look at. */
export type Accepts = (machineId: string) => boolean;

/** States that are scored at once, where none or too many have been missed: some milliseconds. */
const SCORED_AT_ONCE = 4_096;
/** Scores that are made anew at once, after the rule has learned: with each question, on large fleets with every eighth at last. */
const RESCORED_AT_ONCE = 64;
const STATES_PER_PAUSE = 2_048;
const MAX_PAUSE = 8;

/** Candidates of a walk: a place of the heap whose slot has not been looked at, or a machine. */
interface Waiting {
  readonly score: number;
  readonly machineId: string;
  readonly place: number;
  readonly others: Generator<string> | null;
}

const byScore = (a: Pick<Waiting, "score" | "machineId">, b: Pick<Waiting, "score" | "machineId">): boolean =>
  a.score > b.score || (a.score === b.score && a.machineId < b.machineId);

export class ShapeRanking {
  readonly #slots: StateSlots;
  #rule: PlacementRule;
  readonly #shape: PlacementShape;
  readonly #cards: RuleMaker["cards"];
  readonly #scratch: MachineState;
  readonly #heap = new SlotHeap();
  readonly #admitted = new Map<MachineKind, readonly boolean[]>();
  /** By slot index: the slot that has been scored there. */
  readonly #scored: (Slot | undefined)[] = [];
  /** Changes before this have been seen. */
  #seen = -1;
  /** From this index on there may be slots that have not been scored. */
  #missingFrom = 0;
  /** Where scores are made anew next, and how many are still to be. */
  #staleFrom = 0;
  #stale = 0;
  /** Questions until the next portion of them. */
  #pause = 0;

  constructor(
    slots: StateSlots,
    rule: PlacementRule,
    shape: PlacementShape,
    cards: RuleMaker["cards"],
    scratch: MachineState,
  ) {
    this.#slots = slots;
    this.#rule = rule;
    this.#shape = shape;
    this.#cards = cards;
    this.#scratch = scratch;
  }

  /** The rule that scores from now on. */
  follow(rule: PlacementRule): void {
    if (rule === this.#rule) return;
    this.#rule = rule;
    this.#stale = this.#slots.capacity;
  }

  /** The best machine of those that are accepted; of equal ones the first by name. Null: there is none. */
  best(accepts: Accepts): Suited | null {
    this.#catchUp();
    for (;;) {
      const found = this.#bestOfScored(accepts);
      if (found !== null || this.#missingFrom >= this.#slots.capacity) return found;
      this.#scoreMissing();
    }
  }

  /** How well this state suits, by the best of the ways to put the task there; -Infinity: it does not fit, whatever the memory. */
  scoreOf(state: MachineState): number {
    return this.#bestScore(state, this.#rule.valueOf(state));
  }

  /**
   * The best of the ways to put a task on a machine in this state; of equal ones the first. Null: it does not fit. The task is of this
   * ranking, but perhaps with other needs of memory.
   */
  bestWay(state: MachineState, shape: PlacementShape): Way | null {
    const before = this.#rule.valueOf(state);
    const isRoomiest = this.#cards === "roomiest";
    let best: Way | null = null;
    forEachOption(state, shape, this.#admittedCards(state.kind), this.#scratch, isRoomiest, (positions) => {
      const score = this.#rule.score(state, this.#scratch, shape, before);
      if (best !== null && score <= best.score) return;
      best = { score, positions: [...positions], after: copyState(this.#scratch) };
    });
    return best;
  }

  #bestOfScored(accepts: Accepts): Suited | null {
    const heap = this.#heap;
    for (let index = heap.at(0); index >= 0; index = heap.at(0)) {
      const slot = this.#scored[index];
      const machineId = slot === undefined ? undefined : this.#slots.first(slot);
      if (slot === undefined || machineId === undefined) heap.delete(index);
      else if (machineId !== heap.nameOf(index)) heap.set(index, heap.scoreOf(index), machineId);
      else if (accepts(machineId)) return { machineId, score: heap.scoreOf(index) };
      else return this.#walk(accepts);
    }
    return null;
  }

  /** Best first through slots and their machines, for those that are not accepted at once. */
  #walk(accepts: Accepts): Suited | null {
    const waiting = new Heap<Waiting>(byScore);
    const heap = this.#heap;
    const waitAt = (place: number): void => {
      const index = heap.at(place);
      if (index < 0) return;
      waiting.push({ score: heap.scoreOf(index), machineId: heap.nameOf(index), place, others: null });
    };
    const waitFor = (score: number, others: Generator<string>): void => {
      const { value, done } = others.next();
      if (done !== true) waiting.push({ score, machineId: value, place: -1, others });
    };
    waitAt(0);
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { score, machineId, place, others } = next;
      if (others !== null) {
        if (accepts(machineId)) return { machineId, score };
        waitFor(score, others);
        continue;
      }
      const slot = this.#scored[heap.at(place)];
      if (slot !== undefined) waitFor(score, this.#slots.members(slot));
      waitAt(2 * place + 1);
      waitAt(2 * place + 2);
    }
    return null;
  }

  #catchUp(): void {
    const { logEnd } = this.#slots;
    if (this.#seen !== logEnd) {
      const changes = this.#seen < 0 ? null : this.#slots.changesSince(this.#seen, SCORED_AT_ONCE);
      if (changes === null) this.#missingFrom = 0;
      else for (const slot of changes) this.#rank(slot);
      this.#seen = logEnd;
    }
    this.#scoreMissing();
    this.#scoreStale();
  }

  #scoreMissing(): void {
    const { capacity } = this.#slots;
    for (let left = SCORED_AT_ONCE; left > 0 && this.#missingFrom < capacity; this.#missingFrom += 1) {
      const slot = this.#slots.at(this.#missingFrom);
      if (slot === null || this.#scored[slot.index] === slot) continue;
      this.#rank(slot);
      left -= 1;
    }
  }

  #scoreStale(): void {
    if (this.#stale <= 0) return;
    this.#pause -= 1;
    if (this.#pause > 0) return;
    const { capacity } = this.#slots;
    this.#pause = Math.min(MAX_PAUSE, Math.ceil(capacity / STATES_PER_PAUSE));
    for (let left = RESCORED_AT_ONCE; left > 0 && this.#stale > 0; this.#stale -= 1) {
      if (this.#staleFrom >= capacity) this.#staleFrom = 0;
      const slot = this.#slots.at(this.#staleFrom);
      this.#staleFrom += 1;
      if (slot === null || this.#scored[slot.index] !== slot) continue;
      this.#score(slot);
      left -= 1;
    }
  }

  /** The slot is new, or its first machine is another. */
  #rank(slot: Slot): void {
    if (slot.count === 0) return;
    if (this.#scored[slot.index] !== slot) this.#score(slot);
    else if (this.#heap.has(slot.index)) {
      this.#heap.set(slot.index, this.#heap.scoreOf(slot.index), this.#slots.first(slot) ?? "");
    }
  }

  #score(slot: Slot): void {
    const { index, state } = slot;
    if (slot.valuedBy !== this.#rule) {
      slot.value = this.#rule.valueOf(state);
      slot.valuedBy = this.#rule;
    }
    const score = this.#bestScore(state, slot.value);
    // In order, so that the list has no gaps.
    while (this.#scored.length <= index) this.#scored.push(undefined);
    this.#scored[index] = slot;
    if (score === -Infinity) this.#heap.delete(index);
    else this.#heap.set(index, score, this.#slots.first(slot) ?? "");
  }

  #bestScore(state: MachineState, before: number): number {
    let best = -Infinity;
    forEachOption(state, this.#shape, this.#admittedCards(state.kind), this.#scratch, false, () => {
      const score = this.#rule.score(state, this.#scratch, this.#shape, before);
      if (score > best) best = score;
    });
    return best;
  }

  #admittedCards(kind: MachineKind): readonly boolean[] {
    const known = this.#admitted.get(kind);
    if (known !== undefined) return known;
    const cards = admittedCards(this.#shape, kind);
    this.#admitted.set(kind, cards);
    return cards;
  }
}
