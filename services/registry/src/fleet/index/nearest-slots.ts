/** The best slots of those offered, by the bound of their rank; of equals, the one with the smaller agent id. */
import type { CapacityIndex } from "./capacity-index.ts";

interface Offered {
  readonly slot: number;
  readonly key: number;
  readonly weight: number;
  readonly agentId: string;
}

export class NearestSlots {
  readonly #index: CapacityIndex;
  readonly #idPrefix: Float64Array;
  readonly #max: number;
  readonly #best: Offered[] = [];
  #hasLeftOut = false;
  // Of the last of the best, once there are `max`.
  #lastKey = Number.POSITIVE_INFINITY;
  #lastWeight = 0;
  #lastPrefix = 0;

  constructor(index: CapacityIndex, max: number) {
    this.#index = index;
    this.#idPrefix = index.fitColumns.idPrefix;
    this.#max = max;
  }

  get slots(): readonly number[] {
    return this.#best.map(({ slot }) => slot);
  }

  /** As many as wanted are there, and all of them stand before this key. */
  isFullBelow(key: number): boolean {
    return this.#best.length >= this.#max && this.#lastKey < key;
  }

  offer(slot: number, key: number, weight: number): void {
    if (key > this.#lastKey || (key === this.#lastKey && this.#isWorse(slot, weight))) {
      this.#hasLeftOut = true;
      return;
    }
    const offered: Offered = { slot, key, weight, agentId: this.#index.agentAt(slot).agentId };
    let place = this.#best.length;
    while (place > 0 && compare(offered, this.#best[place - 1]) < 0) place -= 1;
    this.#best.splice(place, 0, offered);
    if (this.#best.length > this.#max) {
      this.#best.pop();
      this.#hasLeftOut = true;
    }
    const last = this.#best.at(-1);
    if (this.#best.length < this.#max || last === undefined) return;
    this.#lastKey = last.key;
    this.#lastWeight = last.weight;
    this.#lastPrefix = this.#idPrefix[last.slot] ?? 0;
  }

  /** Whether one that was left out may be better than an agent of this rank. */
  mayHaveMissed(key: number, weight: number, agentId: string): boolean {
    if (!this.#hasLeftOut) return false;
    const last = this.#best.at(-1);
    return compare({ slot: -1, key, weight, agentId }, last) > 0;
  }

  /** Surely; ids that begin alike are compared in full later. */
  #isWorse(slot: number, weight: number): boolean {
    if (weight !== this.#lastWeight) return weight > this.#lastWeight;
    return (this.#idPrefix[slot] ?? 0) > this.#lastPrefix;
  }
}

function compare(a: Offered, b: Offered | undefined): number {
  if (b === undefined) return -1;
  return a.key - b.key || a.weight - b.weight || (a.agentId < b.agentId ? -1 : a.agentId > b.agentId ? 1 : 0);
}
