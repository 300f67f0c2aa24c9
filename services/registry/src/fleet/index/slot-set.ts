/** Slots that have something in common, such as a label: a plain set while they are few, a bitmap when they are many. */
import { addBit, type Bits, dropBit, grown, hasBit, wordsFor } from "./bits.ts";

/** A label that each agent has for itself must not cost a bitmap each. */
const MAX_SPARSE = 256;

export class SlotSet {
  readonly #few = new Set<number>();
  #many: Bits | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The slots one by one while they are few, else null. */
  get few(): ReadonlySet<number> | null {
    return this.#many === null ? this.#few : null;
  }

  get bits(): Bits | null {
    return this.#many;
  }

  add(slot: number): void {
    if (this.has(slot)) return;
    this.#size += 1;
    if (this.#many === null && this.#size <= MAX_SPARSE) {
      this.#few.add(slot);
      return;
    }
    this.#many ??= this.#toBits();
    this.#many = grown(this.#many, wordsFor(slot + 1));
    addBit(this.#many, slot);
  }

  delete(slot: number): void {
    if (!this.has(slot)) return;
    this.#size -= 1;
    if (this.#many === null) this.#few.delete(slot);
    else dropBit(this.#many, slot);
  }

  has(slot: number): boolean {
    return this.#many === null ? this.#few.has(slot) : hasBit(this.#many, slot);
  }

  addTo(target: Bits): void {
    const many = this.#many;
    if (many === null) {
      for (const slot of this.#few) addBit(target, slot);
      return;
    }
    const common = Math.min(target.length, many.length);
    for (let word = 0; word < common; word += 1) target[word] = (target[word] ?? 0) | (many[word] ?? 0);
  }

  #toBits(): Bits {
    const bits: Bits = new Int32Array(wordsFor(Math.max(...this.#few) + 1));
    for (const slot of this.#few) addBit(bits, slot);
    this.#few.clear();
    return bits;
  }
}

/** Slots by something that they have, such as the name of their pool. */
export class SlotSets {
  readonly #sets = new Map<string, SlotSet>();

  get(key: string): SlotSet | undefined {
    return this.#sets.get(key);
  }

  entries(): IterableIterator<[string, SlotSet]> {
    return this.#sets.entries();
  }

  add(key: string, slot: number): void {
    const known = this.#sets.get(key);
    const set = known ?? new SlotSet();
    if (known === undefined) this.#sets.set(key, set);
    set.add(slot);
  }

  delete(key: string, slot: number): void {
    const set = this.#sets.get(key);
    if (set === undefined) return;
    set.delete(slot);
    if (set.size === 0) this.#sets.delete(key);
  }
}
