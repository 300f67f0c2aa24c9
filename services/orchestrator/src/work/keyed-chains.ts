/**
 * Work in order per key, side by side across keys, with a bound over all. The agent's messages about one attempt must be
 * handled in their order; those about different attempts need not wait for each other's commit.
 */
export class KeyedChains {
  readonly #max: number;
  readonly #chains = new Map<string, Promise<void>>();
  readonly #loose = new Set<Promise<void>>();
  readonly #waiters: (() => void)[] = [];
  #pending = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get pending(): number {
    return this.#pending;
  }

  /** Queues work, which must not reject. A promise: it resolves as soon as there is room for more, and must be awaited before the next. */
  add(key: string, work: () => Promise<void>): Promise<void> | undefined {
    const before = this.#chains.get(key);
    const chain = (before === undefined ? work() : before.then(work)).finally(() => {
      if (this.#chains.get(key) === chain) this.#chains.delete(key);
      this.#done();
    });
    this.#chains.set(key, chain);
    return this.#begun();
  }

  /** The same for work that waits for nothing, and for which nothing waits. */
  addLoose(work: () => Promise<void>): Promise<void> | undefined {
    const running = work().finally(() => {
      this.#loose.delete(running);
      this.#done();
    });
    this.#loose.add(running);
    return this.#begun();
  }

  // Nothing is to be awaited while there is room: a stream whose messages are awaited is paused and resumed for each of them.
  #begun(): Promise<void> | undefined {
    this.#pending += 1;
    if (this.#pending < this.#max) return undefined;
    return new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  #done(): void {
    this.#pending -= 1;
    this.#waiters.shift()?.();
  }

  /** Resolves when all that was queued is done. */
  async idle(): Promise<void> {
    while (this.#pending > 0) await Promise.all([...this.#chains.values(), ...this.#loose]);
  }
}
