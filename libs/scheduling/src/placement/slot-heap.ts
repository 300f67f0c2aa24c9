/**
 * Slots in the order of their scores, largest first; of equal ones by name. Each stands in it once, so that another score for
 * a slot moves it and leaves nothing behind. Flat arrays: a fleet has a ranking of its states for every shape of task.
 */
const MIN_CAPACITY = 64;

export class SlotHeap {
  /** Slot indexes, as a binary heap. */
  #order = new Int32Array(MIN_CAPACITY);
  /** By slot index: its place in the order, counted from 1; 0: it is not in it. */
  #places = new Int32Array(MIN_CAPACITY);
  #scores = new Float64Array(MIN_CAPACITY);
  readonly #names: string[] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  has(index: number): boolean {
    return (this.#places[index] ?? 0) > 0;
  }

  /** The slot at this place of the heap: the first is at 0, and those behind one at p are at 2p + 1 and 2p + 2. -1: none. */
  at(place: number): number {
    return place < this.#size ? (this.#order[place] ?? -1) : -1;
  }

  scoreOf(index: number): number {
    return this.#scores[index] ?? -Infinity;
  }

  nameOf(index: number): string {
    return this.#names[index] ?? "";
  }

  /** The slot has this score and name now. */
  set(index: number, score: number, name: string): void {
    if (index >= this.#places.length) this.#grow(index);
    while (this.#names.length <= index) this.#names.push("");
    this.#scores[index] = score;
    this.#names[index] = name;
    let place = (this.#places[index] ?? 0) - 1;
    if (place < 0) {
      place = this.#size;
      this.#size += 1;
      this.#put(place, index);
    }
    if (!this.#rise(place)) this.#sink(place);
  }

  delete(index: number): void {
    const place = (this.#places[index] ?? 0) - 1;
    if (place < 0) return;
    this.#places[index] = 0;
    this.#names[index] = "";
    this.#size -= 1;
    if (place === this.#size) return;
    this.#put(place, this.#order[this.#size] ?? 0);
    if (!this.#rise(place)) this.#sink(place);
  }

  #rise(from: number): boolean {
    const index = this.#order[from] ?? 0;
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#order[parent] ?? 0;
      if (!this.#isBefore(index, above)) break;
      this.#put(place, above);
      place = parent;
    }
    if (place === from) return false;
    this.#put(place, index);
    return true;
  }

  #sink(from: number): void {
    const index = this.#order[from] ?? 0;
    let place = from;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#isBefore(this.#order[child + 1] ?? 0, this.#order[child] ?? 0)) child += 1;
      const below = this.#order[child] ?? 0;
      if (!this.#isBefore(below, index)) break;
      this.#put(place, below);
      place = child;
    }
    this.#put(place, index);
  }

  #put(place: number, index: number): void {
    this.#order[place] = index;
    this.#places[index] = place + 1;
  }

  #isBefore(a: number, b: number): boolean {
    const byScore = (this.#scores[a] ?? 0) - (this.#scores[b] ?? 0);
    return byScore > 0 || (byScore === 0 && (this.#names[a] ?? "") < (this.#names[b] ?? ""));
  }

  #grow(index: number): void {
    const capacity = Math.max(2 * this.#places.length, index + 1);
    const wider = <Cells extends Int32Array | Float64Array>(cells: Cells, made: Cells): Cells => {
      made.set(cells);
      return made;
    };
    this.#order = wider(this.#order, new Int32Array(capacity));
    this.#places = wider(this.#places, new Int32Array(capacity));
    this.#scores = wider(this.#scores, new Float64Array(capacity));
  }
}
