/** For one shape of tasks, the states of the fleet by how well they suit it. Only what has changed is scored again. */
import { Heap } from "./heap.ts";
import type { MachineKind, MachineState } from "./machine-state.ts";
import { forEachOption } from "./options.ts";
import type { PlacementRule } from "./rules.ts";
import { admittedCards, type PlacementShape } from "./shape.ts";
import type { Slot, StateSlots } from "./state-slots.ts";

interface Ranked {
  readonly slot: Slot;
  readonly score: number;
  /** First machine of the slot when it was ranked. */
  readonly machineId: string;
}

/** Which machines a shape may use at all, apart from amounts. */
export type Admits = (kind: MachineKind) => boolean;

export class ShapeRanking {
  readonly #slots: StateSlots;
  readonly #rule: PlacementRule;
  readonly #shape: PlacementShape;
  readonly #admits: Admits;
  readonly #scratch: MachineState;
  readonly #ranking = new Heap<Ranked>(
    (a, b) => a.score > b.score || (a.score === b.score && a.machineId < b.machineId),
  );
  readonly #admitted = new Map<MachineKind, readonly boolean[] | null>();
  /** By slot index: the slot that was scored there, and its score. */
  #scoredSlots: (Slot | undefined)[] = [];
  #scores: number[] = [];
  #seen = -1;

  constructor(slots: StateSlots, rule: PlacementRule, shape: PlacementShape, admits: Admits, scratch: MachineState) {
    this.#slots = slots;
    this.#rule = rule;
    this.#shape = shape;
    this.#admits = admits;
    this.#scratch = scratch;
  }

  /** The best machine; null: it fits on none. */
  best(): { readonly machineId: string; readonly state: MachineState } | null {
    this.#catchUp();
    for (;;) {
      const top = this.#ranking.peek();
      if (top === undefined) return null;
      const machineId = this.#slots.first(top.slot);
      if (machineId === top.machineId) return { machineId, state: top.slot.state };
      this.#ranking.pop();
      // Its first machine has left: those after it stay in the ranking.
      if (machineId !== undefined) this.#ranking.push({ ...top, machineId });
    }
  }

  /** How well this state suits, by the best of the ways to put the task there. */
  scoreOf(state: MachineState): number {
    const admitted = this.#admittedCards(state.kind);
    let best = -Infinity;
    if (admitted === null) return best;
    forEachOption(state, this.#shape, admitted, this.#scratch, () => {
      const score = this.#rule.score(state, this.#scratch, this.#shape);
      if (score > best) best = score;
    });
    return best;
  }

  /** Calls `take` with the best of the ways; the scratch state holds what the machine is then. */
  takeBest(state: MachineState, take: (positions: readonly number[], after: MachineState) => void): void {
    const admitted = this.#admittedCards(state.kind);
    if (admitted === null) return;
    const best = this.scoreOf(state);
    let isTaken = false;
    forEachOption(state, this.#shape, admitted, this.#scratch, (positions) => {
      if (isTaken || this.#rule.score(state, this.#scratch, this.#shape) !== best) return;
      isTaken = true;
      take(positions, this.#scratch);
    });
  }

  #catchUp(): void {
    const end = this.#slots.logEnd;
    if (this.#seen === end) return;
    const isKnown = this.#seen >= 0 && this.#slots.changesSince(this.#seen, (slot) => this.#rank(slot));
    if (!isKnown || this.#ranking.size > 4 * this.#slots.slotCount + 1_024) {
      this.#ranking.clear();
      for (const slot of this.#slots.slots) this.#rank(slot);
    }
    this.#seen = end;
  }

  #rank(slot: Slot): void {
    if (slot.count === 0) return;
    const score = this.#scoreOfSlot(slot);
    if (score === -Infinity) return;
    const machineId = this.#slots.first(slot);
    if (machineId !== undefined) this.#ranking.push({ slot, score, machineId });
  }

  #scoreOfSlot(slot: Slot): number {
    const { index } = slot;
    if (this.#scoredSlots[index] === slot) return this.#scores[index] ?? -Infinity;
    const score = this.scoreOf(slot.state);
    this.#scoredSlots[index] = slot;
    this.#scores[index] = score;
    return score;
  }

  #admittedCards(kind: MachineKind): readonly boolean[] | null {
    const known = this.#admitted.get(kind);
    if (known !== undefined) return known;
    const cards = this.#admits(kind) ? admittedCards(this.#shape, kind) : null;
    this.#admitted.set(kind, cards);
    return cards;
  }
}
