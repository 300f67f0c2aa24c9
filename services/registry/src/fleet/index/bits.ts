/**
 * Sets of slots as bitmaps, 32 to a word. 100,000 slots are 3,125 words: a whole fleet is met with another set in a few
 * microseconds, where looking at each agent takes milliseconds.
 */
export type Bits = Int32Array<ArrayBuffer>;

/** Scratch bitmaps that are kept: 12.5 KB each at 100,000 slots. */
const MAX_KEPT = 128;

export function wordsFor(slots: number): number {
  return (slots + 31) >>> 5;
}

export function hasBit(bits: Bits, slot: number): boolean {
  return ((bits[slot >>> 5] ?? 0) & (1 << (slot & 31))) !== 0;
}

/** The slot must lie within the bitmap. */
export function addBit(bits: Bits, slot: number): void {
  const word = slot >>> 5;
  bits[word] = (bits[word] ?? 0) | (1 << (slot & 31));
}

export function dropBit(bits: Bits, slot: number): void {
  const word = slot >>> 5;
  bits[word] = (bits[word] ?? 0) & ~(1 << (slot & 31));
}

/** The same set with place for at least `words` words; a new one only when it has to grow. */
export function grown(bits: Bits, words: number): Bits {
  if (bits.length >= words) return bits;
  const larger = new Int32Array(Math.max(words, bits.length * 2));
  larger.set(bits);
  return larger;
}

/** Keeps in `found` what is in `other` too. A shorter bitmap holds nothing beyond its end. */
export function keepCommon(found: Bits, other: Bits): void {
  const common = Math.min(found.length, other.length);
  for (let word = 0; word < common; word += 1) found[word] = (found[word] ?? 0) & (other[word] ?? 0);
  found.fill(0, common);
}

/** Takes out of `found` what is in `other`. */
export function dropCommon(found: Bits, other: Bits): void {
  const common = Math.min(found.length, other.length);
  for (let word = 0; word < common; word += 1) found[word] = (found[word] ?? 0) & ~(other[word] ?? 0);
}

export function countBits(bits: Bits): number {
  let count = 0;
  for (let index = 0; index < bits.length; index += 1) {
    const word = bits[index] ?? 0;
    if (word !== 0) count += onesOf(word);
  }
  return count;
}

/** Whether they have as many slots in common; looks no further than that. */
export function haveInCommon(a: Bits, b: Bits, atLeast: number): boolean {
  const common = Math.min(a.length, b.length);
  let count = 0;
  for (let index = 0; index < common; index += 1) {
    const word = (a[index] ?? 0) & (b[index] ?? 0);
    if (word === 0) continue;
    count += onesOf(word);
    if (count >= atLeast) return true;
  }
  return count >= atLeast;
}

function onesOf(word: number): number {
  const pairs = word - ((word >>> 1) & 0x55555555);
  const fours = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333);
  return Math.imul((fours + (fours >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

export function isEmpty(bits: Bits): boolean {
  for (let index = 0; index < bits.length; index += 1) if (bits[index] !== 0) return false;
  return true;
}

/** What both have. `into`, as long as `a`, is overwritten; a new bitmap unless given. */
export function both(a: Bits, b: Bits, into: Bits = new Int32Array(a.length)): Bits {
  const common = Math.min(a.length, b.length);
  for (let word = 0; word < common; word += 1) into[word] = (a[word] ?? 0) & (b[word] ?? 0);
  into.fill(0, common);
  return into;
}

/** What `a` has and `b` has not. `into`, as long as `a`, is overwritten; a new bitmap unless given. */
export function without(a: Bits, b: Bits, into: Bits = new Int32Array(a.length)): Bits {
  const common = Math.min(a.length, b.length);
  for (let word = 0; word < common; word += 1) into[word] = (a[word] ?? 0) & ~(b[word] ?? 0);
  for (let word = common; word < a.length; word += 1) into[word] = a[word] ?? 0;
  return into;
}

/**
 * Bitmaps for the time of one question. A bitmap of 100,000 slots is too large for the young generation: made anew, each costs more than
 * what is done with it.
 */
export class ScratchBits {
  readonly #made: Bits[] = [];
  #words = 0;
  #next = 0;

  /** The bitmaps that were taken are free again. */
  reset(words: number): void {
    this.#next = 0;
    if (this.#words === words) return;
    this.#words = words;
    this.#made.length = 0;
  }

  /** Its content is anything. */
  take(): Bits {
    const known = this.#made[this.#next];
    this.#next += 1;
    if (known !== undefined) return known;
    const made: Bits = new Int32Array(this.#words);
    if (this.#made.length < MAX_KEPT) this.#made.push(made);
    return made;
  }

  empty(): Bits {
    return this.take().fill(0);
  }

  /** A longer bitmap holds nothing beyond this question's slots. */
  copyOf(bits: Bits): Bits {
    const copy = this.take();
    copy.set(bits.length > copy.length ? bits.subarray(0, copy.length) : bits);
    copy.fill(0, bits.length);
    return copy;
  }
}

/** Calls with each slot, ascending, until the answer is false. */
export function eachBit(bits: Bits, visit: (slot: number) => boolean | void): void {
  for (let index = 0; index < bits.length; index += 1) {
    let word = bits[index] ?? 0;
    while (word !== 0) {
      const lowest = word & -word;
      if (visit((index << 5) + 31 - Math.clz32(lowest)) === false) return;
      word ^= lowest;
    }
  }
}
