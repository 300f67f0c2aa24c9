/** Passes on together what is added before the turn goes on to something else: many small messages become few, and none waits for a timer. */

export interface GatheredOptions<Item> {
  /** Items passed on together at most. */
  readonly most: number;
  /** Their sizes together at most, in the unit of `sizeOf`; one that is larger goes alone. */
  readonly largest: number;
  sizeOf(item: Item): number;
  /** Gets one item at least. */
  pass(items: readonly Item[]): void;
}

export class Gathered<Item> {
  readonly #options: GatheredOptions<Item>;
  #items: Item[] = [];
  #size = 0;

  constructor(options: GatheredOptions<Item>) {
    this.#options = options;
  }

  add(item: Item): void {
    const { most, largest } = this.#options;
    const size = this.#options.sizeOf(item);
    if (this.#items.length >= most || this.#size + size > largest) this.flush();
    // After the continuations of all that was settled together.
    if (this.#items.length === 0) queueMicrotask(() => this.flush());
    this.#items.push(item);
    this.#size += size;
  }

  /** Passes on what there is, now: before something that must not overtake it. */
  flush(): void {
    if (this.#items.length === 0) return;
    const items = this.#items;
    this.#items = [];
    this.#size = 0;
    this.#options.pass(items);
  }
}
