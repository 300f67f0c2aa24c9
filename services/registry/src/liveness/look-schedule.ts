/** Something that is looked at when its time has come; null: not before somebody says when. */
export interface Looked {
  lookAtMs: number | null;
}

const BUCKET_MS = 1_000;

/**
 * When to look at what, by the second: a sweep over 100,000 agents touches those whose time has come and no others. What was put off or
 * dropped stays where it was until that second, and is passed over then.
 */
export class LookSchedule<Item extends Looked> {
  readonly #buckets = new Map<number, Item[]>();

  /** The earlier of this time and the one that was said before counts. */
  at(item: Item, atMs: number): void {
    if (item.lookAtMs !== null && item.lookAtMs <= atMs) return;
    item.lookAtMs = atMs;
    const second = secondOf(atMs);
    const bucket = this.#buckets.get(second);
    if (bucket === undefined) this.#buckets.set(second, [item]);
    else bucket.push(item);
  }

  drop(item: Item): void {
    item.lookAtMs = null;
  }

  /** Those whose second has come, each once, in any order. */
  takeDue(nowMs: number): Item[] {
    const due: Item[] = [];
    const now = secondOf(nowMs);
    for (const [second, bucket] of this.#buckets) {
      if (second > now) continue;
      this.#buckets.delete(second);
      for (const item of bucket) {
        // It stands in more than one second when its time was moved forward.
        if (item.lookAtMs === null || secondOf(item.lookAtMs) !== second) continue;
        item.lookAtMs = null;
        due.push(item);
      }
    }
    return due;
  }
}

const secondOf = (ms: number): number => Math.floor(ms / BUCKET_MS);
