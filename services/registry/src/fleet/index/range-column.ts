/**
 * One integer figure of every agent, and for some 50 bounds the set of agents at or above it. A minimum or maximum is then
 * one meeting of bitmaps, and only the agents between two neighbouring bounds (some 2 %) are looked at one by one.
 */
import { addBit, type Bits, dropBit, eachBit, grown, haveInCommon, keepCommon, wordsFor } from "./bits.ts";

const BUCKETS = 48;
/** Fewer agents than this are looked at one by one: that is as quick, and needs no bounds. */
const MIN_TO_DIVIDE = 1_024;
/** A bucket that holds this share of the agents is divided anew. */
const CROWDED_SHARE = 1 / 12;

/** The slots whose figure reaches a limit. */
export interface Reaching {
  /** Null: of nobody it is sure. */
  readonly surely: Bits | null;
  /** Nobody else does; null: anybody may. */
  readonly perhaps: Bits | null;
}

export class RangeColumn {
  /** NaN: the slot has no agent. */
  #values = new Float64Array(0);
  /** Ascending, distinct. */
  #bounds: readonly number[] = [];
  #atLeast: Bits[] = [];
  /** Slots below the first bound, from the first to below the second, and so on. */
  #counts: number[] = [0];
  #size = 0;
  #writesSinceDivided = 0;

  /** By slot, to be read only; another array after the next change. */
  get values(): Float64Array {
    return this.#values;
  }

  valueOf(slot: number): number {
    return this.#values[slot] ?? Number.NaN;
  }

  set(slot: number, value: number): void {
    const before = this.valueOf(slot);
    if (before === value) return;
    this.#makePlace(slot);
    const from = this.#remove(slot, before);
    this.#values[slot] = value;
    const to = this.#bucketOf(value);
    for (let bound = from; bound < to; bound += 1) addBit(this.#bitsAt(bound), slot);
    for (let bound = to; bound < from; bound += 1) dropBit(this.#bitsAt(bound), slot);
    this.#counts[to] = (this.#counts[to] ?? 0) + 1;
    this.#size += 1;
    this.#writesSinceDivided += 1;
    if (this.#isCrowded(to)) this.#divide();
  }

  delete(slot: number): void {
    const before = this.valueOf(slot);
    if (Number.isNaN(before)) return;
    const from = this.#remove(slot, before);
    for (let bound = 0; bound < from; bound += 1) dropBit(this.#bitsAt(bound), slot);
    this.#values[slot] = Number.NaN;
  }

  /** What is known of a limit without looking at a single agent. */
  reaching(limit: number): Reaching {
    const upper = this.#firstBoundFrom(limit);
    const surely = this.#atLeast[upper] ?? null;
    const isExact = this.#bounds[upper] === limit;
    return { surely, perhaps: isExact ? surely : (this.#atLeast[upper - 1] ?? null) };
  }

  /** Keeps in `found` the slots with at least `min`. `found` holds only slots with an agent. */
  keepAtLeast(found: Bits, min: number): void {
    this.#narrow(found, min, 0);
  }

  /** Keeps in `found` the slots with at most `max`. */
  keepAtMost(found: Bits, max: number): void {
    this.#narrow(found, max + 1, -1);
  }

  /** Keeps in `found` its highest: at least `count` of them, if it holds so many, and where values differ hardly more than 2 %. */
  keepAmongHighest(found: Bits, count: number): void {
    this.#keepFrom(found, this.#lastBoundWith(found, count));
  }

  /** Keeps in `found` its `count` highest, and all that equal the last of them. */
  keepHighest(found: Bits, count: number): void {
    const bound = this.#lastBoundWith(found, count);
    this.#keepFrom(found, bound);
    if (this.#isOfOneValue(bound)) return;
    const highest: number[] = [];
    let last = Number.NEGATIVE_INFINITY;
    eachBit(found, (slot) => {
      const value = this.#values[slot] ?? Number.NaN;
      if (!(value > last)) return;
      let place = highest.length;
      while (place > 0 && value > (highest[place - 1] ?? 0)) place -= 1;
      highest.splice(place, 0, value);
      if (highest.length > count) highest.pop();
      if (highest.length === count) last = highest[count - 1] ?? last;
    });
    if (highest.length === count) this.keepAtLeast(found, last);
  }

  /** The highest figure of the slots; -Infinity when there are none. */
  highestOf(slots: Bits): number {
    const bound = this.#lastBoundWith(slots, 1);
    if (this.#isOfOneValue(bound)) return this.#bounds[bound] ?? Number.NaN;
    const candidates = slots.slice();
    this.#keepFrom(candidates, bound);
    let highest = Number.NEGATIVE_INFINITY;
    eachBit(candidates, (slot) => {
      const value = this.#values[slot] ?? Number.NaN;
      if (value > highest) highest = value;
    });
    return highest;
  }

  /** -1: from below the first bound, thus all. */
  #keepFrom(found: Bits, bound: number): void {
    if (bound >= 0) keepCommon(found, this.#bitsAt(bound));
  }

  /** Whatever reaches this bound and not the next has the same value. */
  #isOfOneValue(bound: number): boolean {
    const value = this.#bounds[bound];
    return value !== undefined && this.#bounds[bound + 1] === value + 1;
  }

  /** The last bound that as many of the slots reach; -1: not even the first. */
  #lastBoundWith(slots: Bits, count: number): number {
    let low = 0;
    let high = this.#bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (haveInCommon(slots, this.#bitsAt(middle), count)) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** `inverted`: 0 keeps what is at or above the limit, -1 what is below it. */
  #narrow(found: Bits, limit: number, inverted: 0 | -1): void {
    const { surely, perhaps } = this.reaching(limit);
    const values = this.#values;
    for (let index = 0; index < found.length; index += 1) {
      const word = found[index] ?? 0;
      if (word === 0) continue;
      const sure = surely?.[index] ?? 0;
      let kept = sure;
      let doubtful = word & (perhaps === null ? -1 : (perhaps[index] ?? 0)) & ~sure;
      while (doubtful !== 0) {
        const lowest = doubtful & -doubtful;
        if ((values[(index << 5) + 31 - Math.clz32(lowest)] ?? 0) >= limit) kept |= lowest;
        doubtful ^= lowest;
      }
      found[index] = word & (kept ^ inverted);
    }
  }

  /** Takes the slot out of its bucket's count; answers the bucket. A slot without an agent comes from the lowest. */
  #remove(slot: number, before: number): number {
    if (Number.isNaN(before)) return 0;
    const from = this.#bucketOf(before);
    this.#counts[from] = (this.#counts[from] ?? 1) - 1;
    this.#size -= 1;
    return from;
  }

  #bitsAt(bound: number): Bits {
    const bits = this.#atLeast[bound];
    if (bits === undefined) throw new RangeError(`no bound ${bound}`);
    return bits;
  }

  /** How many bounds the value reaches. */
  #bucketOf(value: number): number {
    return this.#firstBoundFrom(value + 1);
  }

  /** Index of the first bound that is not below the limit. Values and limits are integers. */
  #firstBoundFrom(limit: number): number {
    let low = 0;
    let high = this.#bounds.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#bounds[middle] ?? 0) < limit) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #makePlace(slot: number): void {
    if (slot < this.#values.length) return;
    const larger = new Float64Array(Math.max(64, wordsFor(slot + 1) * 32, this.#values.length * 2)).fill(Number.NaN);
    larger.set(this.#values);
    this.#values = larger;
    this.#atLeast = this.#atLeast.map((bits) => grown(bits, wordsFor(larger.length)));
  }

  #isCrowded(bucket: number): boolean {
    const isDue = this.#size >= MIN_TO_DIVIDE && this.#writesSinceDivided > this.#size / 2;
    if (!isDue || (this.#counts[bucket] ?? 0) < this.#size * CROWDED_SHARE) return false;
    // All of one value cannot be divided, and need not be: no limit falls between them.
    const lower = this.#bounds[bucket - 1];
    return lower === undefined || this.#bounds[bucket] !== lower + 1;
  }

  #divide(): void {
    this.#writesSinceDivided = 0;
    const sorted = this.#values.filter((value) => !Number.isNaN(value)).sort();
    const bounds = new Set<number>();
    const at = (position: number): number => sorted[Math.min(sorted.length - 1, Math.floor(position))] ?? 0;
    const stepSize = sorted.length / BUCKETS;
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      const value = at(bucket * stepSize);
      bounds.add(value);
      // So common a value gets a bucket of its own.
      if (value === at((bucket + 1) * stepSize)) bounds.add(value + 1);
    }
    this.#bounds = [...bounds].sort((a, b) => a - b);
    this.#refill();
  }

  #refill(): void {
    const words = wordsFor(this.#values.length);
    this.#atLeast = this.#bounds.map(() => new Int32Array(words));
    this.#counts = Array.from({ length: this.#bounds.length + 1 }, () => 0);
    for (let slot = 0; slot < this.#values.length; slot += 1) {
      const value = this.valueOf(slot);
      if (Number.isNaN(value)) continue;
      const bucket = this.#bucketOf(value);
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
      if (bucket > 0) addBit(this.#bitsAt(bucket - 1), slot);
    }
    // Whoever reaches a bound reaches all below it.
    for (let bound = this.#bounds.length - 2; bound >= 0; bound -= 1) {
      const bits = this.#bitsAt(bound);
      const above = this.#bitsAt(bound + 1);
      for (let word = 0; word < words; word += 1) bits[word] = (bits[word] ?? 0) | (above[word] ?? 0);
    }
  }
}
