/** A binary heap: the entry that comes first by the given order is at the top. */
export class Heap<Entry> {
  readonly #entries: Entry[] = [];
  readonly #isBefore: (a: Entry, b: Entry) => boolean;

  constructor(isBefore: (a: Entry, b: Entry) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#entries.length;
  }

  peek(): Entry | undefined {
    return this.#entries[0];
  }

  push(entry: Entry): void {
    const entries = this.#entries;
    let index = entries.length;
    entries.push(entry);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = entries[parent];
      if (above === undefined || !this.#isBefore(entry, above)) break;
      entries[index] = above;
      index = parent;
    }
    entries[index] = entry;
  }

  pop(): Entry | undefined {
    const entries = this.#entries;
    const top = entries[0];
    const last = entries.pop();
    if (last !== undefined && entries.length > 0) this.#sink(last);
    return top;
  }

  /** All entries in order, without taking them out. It must not change meanwhile. */
  *inOrder(): Generator<Entry> {
    const entries = this.#entries;
    const places = new Heap<number>((a, b) => {
      const [left, right] = [entries[a], entries[b]];
      return left !== undefined && right !== undefined && this.#isBefore(left, right);
    });
    if (entries.length > 0) places.push(0);
    for (let place = places.pop(); place !== undefined; place = places.pop()) {
      const entry = entries[place];
      if (entry !== undefined) yield entry;
      for (const child of [2 * place + 1, 2 * place + 2]) if (child < entries.length) places.push(child);
    }
  }

  clear(): void {
    this.#entries.length = 0;
  }

  #sink(entry: Entry): void {
    const entries = this.#entries;
    const { length } = entries;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= length) break;
      const right = entries[child + 1];
      let below = entries[child];
      if (right !== undefined && below !== undefined && this.#isBefore(right, below)) {
        child += 1;
        below = right;
      }
      if (below === undefined || !this.#isBefore(below, entry)) break;
      entries[index] = below;
      index = child;
    }
    entries[index] = entry;
  }
}
