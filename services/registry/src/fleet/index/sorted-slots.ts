/**
 * All agents in the order of one figure, ties by agent id. Kept in blocks, each of a range, so that a change touches two of them and not the
 * fleet; a block is sorted when somebody reads it, for most changes fall where nobody looks before the next.
 */
import { addBit, type Bits, dropBit, grown, hasBit, wordsFor } from "./bits.ts";

export type SortValue = number | string;

/** A position in an order: behind or before an agent that may have gone meanwhile. */
export interface SortKey {
  readonly value: SortValue;
  readonly agentId: string;
}

const MAX_BLOCK = 512;
/** So few newcomers of a block are put in their places one by one; of more the block is sorted as a whole. */
const FEW_NEWCOMERS = 24;
/** So few that are looked for are sorted by themselves. */
const FEW_HITS = 64;
/** To look into a block costs as much as so many of its members. */
const STEPS_PER_BLOCK = 32;
/** Equals that are gathered one by one. */
const MANY_EQUALS = 64;

export interface FirstOf {
  readonly descending: boolean;
  /** Null: from the beginning. */
  readonly after: SortKey | null;
  readonly limit: number;
  readonly maxSteps: number;
}

interface Place {
  readonly block: number;
  readonly index: number;
}

interface Block {
  readonly slots: number[];
  /** So many from the first are in order; behind them stand those that came since. */
  sorted: number;
}

const LOWEST: Place = { block: 0, index: 0 };

/** The first slots of a set, as they are found. */
class Picked {
  readonly slots: number[] = [];
  readonly #found: Bits;
  readonly #limit: number;
  #stepsLeft: number;

  constructor(found: Bits, limit: number, maxSteps: number) {
    this.#found = found;
    this.#limit = limit;
    this.#stepsLeft = maxSteps;
  }

  get isGivenUp(): boolean {
    return this.#stepsLeft < 0 && this.slots.length < this.#limit;
  }

  /** Whether more are wanted. */
  add(slot: number): boolean {
    this.slots.push(slot);
    return this.slots.length < this.#limit;
  }

  /** From the last to the first. */
  addUpwards(slots: readonly number[]): boolean {
    for (let at = slots.length - 1; at >= 0; at -= 1) if (!this.add(slots[at] ?? 0)) return false;
    return true;
  }

  hitsIn(slots: readonly number[], from: number, to: number): number[] {
    const found = this.#found;
    const end = Math.min(to, slots.length);
    const hits: number[] = [];
    for (let at = from; at < end; at += 1) {
      const slot = slots[at] ?? 0;
      if (hasBit(found, slot)) hits.push(slot);
    }
    this.#stepsLeft -= STEPS_PER_BLOCK + Math.max(0, end - from);
    return hits;
  }
}

export class SortedSlots {
  /** By range, none empty. */
  readonly #blocks: Block[] = [];
  /** The lowest key of each block's range; what is below the first belongs to the first block. */
  readonly #lowValues: SortValue[] = [];
  readonly #lowIds: string[] = [];
  /** By slot; without holes, so that numbers lie side by side. */
  readonly #values: SortValue[] = [];
  #known: Bits = new Int32Array(2);
  readonly #idOf: (slot: number) => string;

  constructor(idOf: (slot: number) => string) {
    this.#idOf = idOf;
  }

  /** Takes in many at once; only while it is empty. */
  fill(entries: readonly (readonly [slot: number, value: SortValue])[]): void {
    for (const [slot, value] of entries) this.#put(slot, value);
    const slots = entries.map(([slot]) => slot).sort(this.#bySlot);
    for (let start = 0; start < slots.length; start += MAX_BLOCK / 2) {
      this.#insertBlock(this.#blocks.length, slots.slice(start, start + MAX_BLOCK / 2));
    }
  }

  keyOf(slot: number): SortKey {
    return { value: this.valueOf(slot), agentId: this.#idOf(slot) };
  }

  valueOf(slot: number): SortValue {
    return this.#values[slot] ?? 0;
  }

  set(slot: number, value: SortValue): void {
    if (this.#isKnown(slot)) {
      if (this.valueOf(slot) === value) return;
      this.delete(slot);
    }
    this.#put(slot, value);
    const at = this.#blockOf(value, this.#idOf(slot));
    const block = this.#blocks[at];
    if (block === undefined) {
      this.#insertBlock(0, [slot]);
      return;
    }
    block.slots.push(slot);
    if (block.slots.length <= MAX_BLOCK) return;
    this.#insertBlock(at + 1, this.#membersOf(at).splice(MAX_BLOCK / 2));
    block.sorted = block.slots.length;
  }

  delete(slot: number): void {
    if (!this.#isKnown(slot)) return;
    const at = this.#blockOf(this.valueOf(slot), this.#idOf(slot));
    const block = this.#blocks[at];
    const index = block?.slots.indexOf(slot) ?? -1;
    if (block === undefined || index < 0) throw new Error("an agent is not where its figure says: the order is broken");
    block.slots.splice(index, 1);
    if (index < block.sorted) block.sorted -= 1;
    if (block.slots.length === 0) for (const list of [this.#blocks, this.#lowValues, this.#lowIds]) list.splice(at, 1);
    dropBit(this.#known, slot);
    this.#values[slot] = 0;
  }

  /** Negative: `a` stands before `b`. Ties are broken by agent id, ascending in both directions. */
  compare(a: number, b: number, descending: boolean): number {
    const byValue = compareValues(this.valueOf(a), this.valueOf(b));
    return byValue === 0 ? compareValues(this.#idOf(a), this.#idOf(b)) : descending ? -byValue : byValue;
  }

  /** Negative: the slot stands before the key. */
  compareToKey(slot: number, key: SortKey, descending: boolean): number {
    const byValue = compareValues(this.valueOf(slot), key.value);
    return byValue === 0 ? compareValues(this.#idOf(slot), key.agentId) : descending ? -byValue : byValue;
  }

  /** Visits all slots upwards from the key, or from the lowest, until the answer is false. */
  walk(from: SortKey | null, visit: (slot: number) => boolean): void {
    const start = from === null ? LOWEST : this.#placeOf(from.value, from.agentId, false);
    for (let block = start.block; block < this.#blocks.length; block += 1) {
      const members = this.#membersOf(block);
      for (let index = block === start.block ? start.index : 0; index < members.length; index += 1) {
        if (!visit(members[index] ?? 0)) return;
      }
    }
  }

  /**
   * The first `limit` slots of `found` in order, behind the key if there is one. Null: so many blocks hold few of them that more than `maxSteps`
   * slots had to be passed.
   */
  firstOf(found: Bits, { descending, after, limit, maxSteps }: FirstOf): readonly number[] | null {
    const picked = new Picked(found, limit, maxSteps);
    if (descending) this.#gatherDown(after, picked);
    else this.#gatherUp(after === null ? LOWEST : this.#placeOf(after.value, after.agentId, true), picked);
    return picked.isGivenUp ? null : picked.slots;
  }

  /** To the end, or as long as the value stays `only`; answers whether there may be a use in going on. */
  #gatherUp(from: Place, picked: Picked, only?: SortValue): boolean {
    for (let block = from.block; block < this.#blocks.length; block += 1) {
      const hits = this.#hitsOf(block, picked, block === from.block ? from.index : 0);
      for (const slot of hits) {
        if (only !== undefined && this.valueOf(slot) !== only) return true;
        if (!picked.add(slot)) return false;
      }
      if (picked.isGivenUp) return false;
      // Behind its range begins another value.
      const next = this.#lowValues[block + 1];
      if (only !== undefined && next !== undefined && next !== only) return true;
    }
    return true;
  }

  /** Values fall, but ids rise among equals: these are gathered downwards, and picked upwards. */
  #gatherDown(after: SortKey | null, picked: Picked): void {
    let { block, index }: Place = { block: this.#blocks.length, index: 0 };
    if (after !== null) {
      if (!this.#gatherUp(this.#placeOf(after.value, after.agentId, true), picked, after.value)) return;
      ({ block, index } = this.#placeOf(after.value, "", false));
    }
    let equals: number[] = [];
    let hits = block < this.#blocks.length ? this.#hitsOf(block, picked, 0, index) : [];
    for (;;) {
      for (let at = hits.length - 1; at >= 0; at -= 1) {
        const slot = hits[at] ?? 0;
        const value = this.valueOf(slot);
        if (equals.length > 0 && value !== this.valueOf(equals[0] ?? 0)) {
          if (!picked.addUpwards(equals)) return;
          equals = [];
        }
        equals.push(slot);
        if (equals.length < MANY_EQUALS) continue;
        // So many that their beginning is better looked up than walked to.
        const first = this.#placeOf(value, "", false);
        if (!this.#gatherUp(first, picked, value)) return;
        equals = [];
        block = first.block;
        hits = this.#hitsOf(block, picked, 0, first.index);
        at = hits.length;
      }
      // In the blocks before nobody is as high.
      if (equals.length > 0 && this.#lowValues[block] !== this.valueOf(equals[0] ?? 0)) {
        if (!picked.addUpwards(equals)) return;
        equals = [];
      }
      if (picked.isGivenUp) return;
      if (block === 0) break;
      block -= 1;
      hits = this.#hitsOf(block, picked, 0);
    }
    picked.addUpwards(equals);
  }

  /** Of a block those that are looked for, in order. A block is not sorted for a few of its members. */
  #hitsOf(at: number, picked: Picked, from: number, to = Number.POSITIVE_INFINITY): readonly number[] {
    const block = this.#blocks[at];
    if (block === undefined) return [];
    const isWhole = from === 0 && to >= block.slots.length;
    if (isWhole && block.sorted < block.slots.length) {
      const hits = picked.hitsIn(block.slots, 0, to);
      if (hits.length <= FEW_HITS) return hits.sort(this.#bySlot);
    }
    return picked.hitsIn(this.#membersOf(at), from, to);
  }

  /** The place of the first member that stands not before the key, or (`behind`) only after it. */
  #placeOf(value: SortValue, agentId: string, behind: boolean): Place {
    const block = this.#blockOf(value, agentId);
    const members = this.#membersOf(block);
    const index = firstWhere(members.length, (at) => {
      const slot = members[at] ?? 0;
      const order = compareValues(this.valueOf(slot), value) || compareValues(this.#idOf(slot), agentId);
      return behind ? order > 0 : order >= 0;
    });
    return { block, index };
  }

  /** The block in whose range the key lies; 0 also while there is none. */
  #blockOf(value: SortValue, agentId: string): number {
    const next = firstWhere(this.#blocks.length, (at) => {
      const byValue = compareValues(this.#lowValues[at] ?? 0, value);
      return byValue > 0 || (byValue === 0 && (this.#lowIds[at] ?? "") > agentId);
    });
    return Math.max(0, next - 1);
  }

  /** In order. */
  #membersOf(at: number): number[] {
    const block = this.#blocks[at];
    if (block === undefined) return [];
    const { slots, sorted } = block;
    if (sorted === slots.length) return slots;
    if (slots.length - sorted > FEW_NEWCOMERS) slots.sort(this.#bySlot);
    else for (const slot of slots.splice(sorted)) this.#insert(slots, slot);
    block.sorted = slots.length;
    return slots;
  }

  #insert(slots: number[], slot: number): void {
    const place = firstWhere(slots.length, (at) => this.#bySlot(slots[at] ?? 0, slot) > 0);
    slots.splice(place, 0, slot);
  }

  /** The slots in order, at least one. */
  #insertBlock(at: number, slots: number[]): void {
    const { value, agentId } = this.keyOf(slots[0] ?? 0);
    this.#blocks.splice(at, 0, { slots, sorted: slots.length });
    this.#lowValues.splice(at, 0, value);
    this.#lowIds.splice(at, 0, agentId);
  }

  #isKnown(slot: number): boolean {
    return hasBit(this.#known, slot);
  }

  #put(slot: number, value: SortValue): void {
    while (this.#values.length < slot) this.#values.push(0);
    this.#values[slot] = value;
    this.#known = grown(this.#known, wordsFor(slot + 1));
    addBit(this.#known, slot);
  }

  readonly #bySlot = (a: number, b: number): number =>
    compareValues(this.valueOf(a), this.valueOf(b)) || compareValues(this.#idOf(a), this.#idOf(b));
}

/** The first index for which it holds, given that it holds for all behind it; `length` if for none. */
function firstWhere(length: number, holds: (index: number) => boolean): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function compareValues(a: SortValue, b: SortValue): number {
  // Nearly all are numbers, and comparing these needs no look at what else they might be.
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
  return a < b ? -1 : a > b ? 1 : 0;
}
