/** Numbers of which the smallest is wanted again and again. At least one. */
export class MinHeap {
  readonly #items: number[];

  constructor(items: readonly number[]) {
    // A sorted array is a heap.
    this.#items = [...items].sort((a, b) => a - b);
  }

  smallest(): number {
    return this.#items[0] ?? Number.POSITIVE_INFINITY;
  }

  /** Takes the smallest out and `value` in. */
  replaceSmallest(value: number): void {
    const items = this.#items;
    let hole = 0;
    for (;;) {
      const left = 2 * hole + 1;
      const right = left + 1;
      const child =
        (items[right] ?? Number.POSITIVE_INFINITY) < (items[left] ?? Number.POSITIVE_INFINITY) ? right : left;
      const smaller = items[child];
      if (smaller === undefined || smaller >= value) break;
      items[hole] = smaller;
      hole = child;
    }
    items[hole] = value;
  }
}
