/** All that is in work under one key. */
interface InWork {
  entries: number;
  isAside: boolean;
  /** Ends with the last one of its chain. */
  chain: Promise<void> | null;
}

/**
 * Work in order per key, side by side across keys, with a bound over all. The agent's messages about one attempt must be
 * handled in their order; those about different attempts need not wait for each other's commit.
 *
 * What somebody else keeps from being done, for minutes perhaps, is set aside: it counts by a bound of its own, far higher, so that the
 * others are not kept waiting for it.
 */
export class KeyedChains {
  readonly #max: number;
  readonly #maxAside: number;
  readonly #keys = new Map<string, InWork>();
  readonly #running = new Set<Promise<void>>();
  readonly #waiters: (() => void)[] = [];
  #entries = 0;
  #aside = 0;

  constructor(max: number, maxAside: number) {
    this.#max = max;
    this.#maxAside = maxAside;
  }

  /** What is not set aside. */
  get pending(): number {
    return this.#entries - this.#aside;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  isAside(key: string): boolean {
    return this.#keys.get(key)?.isAside === true;
  }

  /** Queues work, which must not reject. A promise: it resolves as soon as there is room for more, and must be awaited before the next. */
  add(key: string, work: () => Promise<void>): Promise<void> | undefined {
    const inWork = this.#begin(key);
    const chain = this.#run(key, inWork, inWork.chain === null ? work() : inWork.chain.then(work));
    inWork.chain = chain;
    return this.#untilRoom();
  }

  /** The same for work that waits for nothing, and for which nothing waits. */
  addLoose(key: string, work: () => Promise<void>): Promise<void> | undefined {
    void this.#run(key, this.#begin(key), work());
    return this.#untilRoom();
  }

  /** Work that nobody has to wait for: aside from the beginning. One of a key at a time; false: there is one, or no room for more. */
  addAside(key: string, work: () => Promise<void>): boolean {
    if (this.has(key) || this.#aside >= this.#maxAside) return false;
    const inWork = this.#begin(key);
    this.setAside(key);
    void this.#run(key, inWork, work());
    return true;
  }

  /** Sets aside all that is in work under this key, with what is added until all of that is done. */
  setAside(key: string): void {
    const inWork = this.#keys.get(key);
    if (inWork === undefined || inWork.isAside) return;
    inWork.isAside = true;
    this.#aside += inWork.entries;
    this.#wake();
  }

  /** Resolves when all that was queued is done. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #begin(key: string): InWork {
    const inWork = this.#keys.get(key) ?? { entries: 0, isAside: false, chain: null };
    this.#keys.set(key, inWork);
    inWork.entries += 1;
    this.#entries += 1;
    if (inWork.isAside) this.#aside += 1;
    return inWork;
  }

  #run(key: string, inWork: InWork, work: Promise<void>): Promise<void> {
    const running = work.finally(() => {
      this.#running.delete(running);
      inWork.entries -= 1;
      this.#entries -= 1;
      if (inWork.isAside) this.#aside -= 1;
      if (inWork.entries === 0) this.#keys.delete(key);
      this.#wake();
    });
    this.#running.add(running);
    return running;
  }

  get #isFull(): boolean {
    return this.pending + Math.max(0, this.#aside - this.#maxAside) >= this.#max;
  }

  // Nothing is to be awaited while there is room: a stream whose messages are awaited is paused and resumed for each of them.
  #untilRoom(): Promise<void> | undefined {
    if (!this.#isFull) return undefined;
    return new Promise<void>((resolve) => this.#waiters.push(resolve));
  }

  #wake(): void {
    while (!this.#isFull) {
      const wake = this.#waiters.shift();
      if (wake === undefined) return;
      wake();
    }
  }
}
