/** The best slots of those offered, by the bound of their rank; of equals, the one with the smaller agent id. */
import type { CapacityIndex } from "./capacity-index.ts";

/** Whoever is worse than this is not wanted; of equal key and weight, the one with the lower `idOrder`. */
export interface NearestLimit {
  readonly key: number;
  readonly weight: number;
  readonly idOrder: number;
}

interface Offered {
  readonly slot: number;
  readonly key: number;
  readonly weight: number;
  readonly agentId: string;
}

export class NearestSlots {
  readonly #index: CapacityIndex;
  readonly max: number;
  readonly #idOrder: Float64Array;
  readonly #best: Offered[] = [];
  // Of the last of the best, once there are `max`.
  #lastKey = Number.POSITIVE_INFINITY;
  #lastWeight = Number.POSITIVE_INFINITY;
  #lastIdOrder = Number.NEGATIVE_INFINITY;

  constructor(index: CapacityIndex, max: number) {
    this.#index = index;
    this.#idOrder = index.fitColumns.idOrder.values;
    this.max = max;
  }

  get limit(): NearestLimit {
    return { key: this.#lastKey, weight: this.#lastWeight, idOrder: this.#lastIdOrder };
  }

  get slots(): readonly number[] {
    return this.#best.map(({ slot }) => slot);
  }

  offer(slot: number, key: number, weight: number): void {
    if (key > this.#lastKey || (key === this.#lastKey && this.#isWorse(slot, weight))) return;
    const offered: Offered = { slot, key, weight, agentId: this.#index.agentAt(slot).agentId };
    let place = this.#best.length;
    while (place > 0 && compare(offered, this.#best[place - 1]) < 0) place -= 1;
    this.#best.splice(place, 0, offered);
    if (this.#best.length > this.max) this.#best.pop();
    const last = this.#best.at(-1);
    if (this.#best.length < this.max || last === undefined) return;
    this.#lastKey = last.key;
    this.#lastWeight = last.weight;
    this.#lastIdOrder = this.#idOrder[last.slot] ?? 0;
  }

  /** Whether one that was left out may be better than an agent of this rank. */
  mayHaveMissed(key: number, weight: number, agentId: string): boolean {
    if (this.#best.length < this.max) return false;
    const last = this.#best.at(-1);
    return compare({ slot: -1, key, weight, agentId }, last) > 0;
  }

  /** Surely; ids that begin alike are compared in full later. */
  #isWorse(slot: number, weight: number): boolean {
    if (weight !== this.#lastWeight) return weight > this.#lastWeight;
    return (this.#idOrder[slot] ?? 0) < this.#lastIdOrder;
  }
}

function compare(a: Offered, b: Offered | undefined): number {
  if (b === undefined) return -1;
  return a.key - b.key || a.weight - b.weight || (a.agentId < b.agentId ? -1 : a.agentId > b.agentId ? 1 : 0);
}
