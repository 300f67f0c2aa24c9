/**
 * Work in order per key, side by side across keys, with a bound over all. The agent's messages about one attempt must be
 * handled in their order; those about different attempts need not wait for each other's commit.
 */
export class KeyedChains {
  readonly #max: number;
  readonly #chains = new Map<string, Promise<void>>();
  readonly #waiters: (() => void)[] = [];
  #pending = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get pending(): number {
    return this.#pending;
  }

  /** Queues work, which must not reject. Resolves as soon as there is room for more: await it before the next. */
  async add(key: string, work: () => Promise<void>): Promise<void> {
    this.#pending += 1;
    const before = this.#chains.get(key) ?? Promise.resolve();
    const chain = before.then(work).finally(() => {
      this.#pending -= 1;
      if (this.#chains.get(key) === chain) this.#chains.delete(key);
      this.#waiters.shift()?.();
    });
    this.#chains.set(key, chain);
    if (this.#pending >= this.#max) await new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  /** Resolves when all that was queued is done. */
  async idle(): Promise<void> {
    while (this.#chains.size > 0) await Promise.all(this.#chains.values());
  }
}
