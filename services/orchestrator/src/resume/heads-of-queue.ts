/**
 * Which heads of the queue a pass looks at. Of most queues these are all. Where there are thousands of shapes, because each task asks for an agent
 * of its own, say, the front of the queue is looked at by every pass, and the others in turns: no shape is ever left out for good.
 */
import type { QueueHead } from "../store/model.ts";
import type { OrchestratorStore } from "../store/port.ts";

/** Of 1,000 shapes each, some 10 to 15 ms. */
const maxPages = 10;
/** Each costs a claim, a question to the registry and a stamp. */
const askedByPoll = 1_000;

type HeadsStore = Pick<OrchestratorStore, "queueHeads" | "queueFront" | "queueHeadsOfPlan">;

export class HeadsOfQueue {
  readonly #store: HeadsStore;
  /** Null: the next pass begins with the first shape. */
  #goOnBehind: string | null = null;
  #lastAsked = "";

  constructor(store: HeadsStore) {
    this.#store = store;
  }

  /** In the order of the queue. */
  async read(planId: string | null = null): Promise<readonly QueueHead[]> {
    if (planId !== null) return this.#store.queueHeadsOfPlan(planId);
    const begunBehind = this.#goOnBehind;
    const first = await this.#store.queueHeads(begunBehind);
    if (begunBehind === null && first.next === null) return first.heads;
    const found = [...first.heads];
    let behind = first.next;
    for (let page = 1; page < maxPages && behind !== null; page += 1) {
      const { heads, next } = await this.#store.queueHeads(behind);
      found.push(...heads);
      behind = next;
    }
    this.#goOnBehind = behind;
    const isWhole = begunBehind === null && behind === null;
    return inOrder(isWhole ? found : [...found, ...(await this.#store.queueFront())]);
  }

  /** Shapes whose turn it is to be tried by a poll, whatever was heard of room. */
  turnOf(heads: readonly QueueHead[]): ReadonlySet<string> {
    const shapes = heads.map(({ shapeKey }) => shapeKey);
    if (shapes.length <= askedByPoll) return new Set(shapes);
    shapes.sort();
    const next = shapes.findIndex((shape) => shape > this.#lastAsked);
    const begin = next < 0 ? 0 : next;
    const asked = [...shapes.slice(begin), ...shapes.slice(0, begin)].slice(0, askedByPoll);
    this.#lastAsked = asked.at(-1) ?? "";
    return new Set(asked);
  }
}

/** Each shape once: two looks may find the same one. */
function inOrder(heads: readonly QueueHead[]): readonly QueueHead[] {
  const byShape = new Map(heads.map((head) => [head.shapeKey, head]));
  return [...byShape.values()].sort((a, b) => a.rank - b.rank || (a.taskId < b.taskId ? -1 : 1));
}
