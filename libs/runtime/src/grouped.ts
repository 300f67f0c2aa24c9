/**
 * Group commit: while one group is at work the next one gathers, so that a busy moment costs few transactions and a
 * quiet one no delay.
 */
import { createDeferred, type Deferred } from "./deferred.ts";

export interface GroupedOptions<In, Out> {
  /** Items of one group at most. */
  readonly max: number;
  /** Items that may wait; one more is refused with `makeBusyError()`. */
  readonly maxWaiting: number;
  makeBusyError(): Error;
  /** Two items with the same key never go in one group; null: with anything. */
  keyOf?(item: In): string | null;
  /** Whether a failure of a group is that of all its items; else each of them is tried alone. Default: it is. */
  isForAll?(error: unknown): boolean;
  /** Settles every item of the group, in order; a rejection is that of all. */
  run(items: readonly In[]): Promise<readonly PromiseSettledResult<Out>[]>;
}

interface Waiting<In, Out> {
  readonly item: In;
  readonly answer: Deferred<Out>;
}

export class Grouped<In, Out> {
  readonly #options: GroupedOptions<In, Out>;
  #waiting: Waiting<In, Out>[] = [];
  #work: Promise<void> | null = null;

  constructor(options: GroupedOptions<In, Out>) {
    this.#options = options;
  }

  submit(item: In): Promise<Out> {
    if (this.#waiting.length >= this.#options.maxWaiting) return Promise.reject(this.#options.makeBusyError());
    const answer = createDeferred<Out>();
    this.#waiting.push({ item, answer });
    this.#work ??= this.#drain();
    return answer.promise;
  }

  get isBusy(): boolean {
    return this.#work !== null;
  }

  /** Resolves when nothing waits or is at work. */
  async idle(): Promise<void> {
    while (this.#work !== null) await this.#work;
  }

  async #drain(): Promise<void> {
    // Whatever is submitted in the same turn goes along.
    await Promise.resolve();
    while (this.#waiting.length > 0) await this.#runGroup(this.#takeGroup());
    this.#work = null;
  }

  #takeGroup(): readonly Waiting<In, Out>[] {
    const keys = new Set<string>();
    const group: Waiting<In, Out>[] = [];
    const later: Waiting<In, Out>[] = [];
    for (const waiting of this.#waiting) {
      const key = this.#options.keyOf?.(waiting.item) ?? null;
      if (group.length >= this.#options.max || (key !== null && keys.has(key))) {
        later.push(waiting);
        continue;
      }
      if (key !== null) keys.add(key);
      group.push(waiting);
    }
    this.#waiting = later;
    return group;
  }

  async #runGroup(group: readonly Waiting<In, Out>[]): Promise<void> {
    try {
      const results = await this.#options.run(group.map(({ item }) => item));
      for (const [index, { answer }] of group.entries()) {
        const result = results[index];
        if (result === undefined) answer.reject(new Error("a group left one of its items without an answer"));
        else if (result.status === "fulfilled") answer.resolve(result.value);
        else answer.reject(result.reason);
      }
    } catch (error) {
      const isForAll = group.length === 1 || (this.#options.isForAll?.(error) ?? true);
      // One item that the store cannot take must not take the others with it.
      if (!isForAll) for (const one of group) await this.#runGroup([one]);
      else for (const { answer } of group) answer.reject(error);
    }
  }
}
