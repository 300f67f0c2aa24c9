/**
 * Sets of slots as bitmaps, 32 to a word. 100,000 slots are 3,125 words: a whole fleet is met with another set in a few
 * microseconds, where looking at each agent takes milliseconds.
 */
export type Bits = Int32Array<ArrayBuffer>;

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
    let word = bits[index] ?? 0;
    if (word === 0) continue;
    word -= (word >>> 1) & 0x55555555;
    word = (word & 0x33333333) + ((word >>> 2) & 0x33333333);
    count += Math.imul((word + (word >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
  }
  return count;
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
