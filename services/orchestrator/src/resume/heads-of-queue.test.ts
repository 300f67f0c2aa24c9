import { describe, expect, it } from "vitest";
import type { QueueHead } from "../store/model.ts";
import { HeadsOfQueue } from "./heads-of-queue.ts";

/** A queue of so many shapes; the last of them is first in its order. */
function begin(shapes: number) {
  const heads = Array.from({ length: shapes }, (_, index) => {
    const shapeKey = String(index).padStart(6, "0");
    return { shapeKey, taskId: shapeKey, rank: shapes - index } as unknown as QueueHead;
  });
  const inOrder = (some: readonly QueueHead[]) => some.toSorted((a, b) => a.rank - b.rank);
  const store = {
    queueHeads(after: string | null) {
      const rest = heads.filter(({ shapeKey }) => shapeKey > (after ?? ""));
      const page = rest.slice(0, 1_000);
      return Promise.resolve({
        heads: inOrder(page),
        next: page.length < 1_000 ? null : (page.at(-1)?.shapeKey ?? null),
      });
    },
    queueFront: () => Promise.resolve(inOrder(heads).slice(0, 10)),
    queueHeadsOfPlan: () => Promise.resolve(heads.slice(0, 1)),
  };
  return { queue: new HeadsOfQueue(store), front: inOrder(heads)[0] };
}

describe("R-PAUSE-6: the heads of the queue", () => {
  it.each([0, 1, 999, 1_000, 1_001, 9_999])(
    "of %i shapes are all looked at, in the order of the queue",
    async (shapes) => {
      const { queue } = begin(shapes);
      for (let pass = 0; pass < 2; pass += 1) {
        const heads = await queue.read();
        expect(heads.map(({ rank }) => rank)).toEqual(Array.from({ length: shapes }, (_, index) => index + 1));
      }
    },
  );

  it("of more shapes than one pass looks at come in turns, and the front each time", async () => {
    const { queue, front } = begin(25_500);
    const seen = new Set<string>();
    for (let pass = 0; pass < 3; pass += 1) {
      const heads = await queue.read();
      expect(heads[0]).toEqual(front);
      expect(heads.length).toBeLessThanOrEqual(10_010);
      expect(new Set(heads.map(({ shapeKey }) => shapeKey)).size).toBe(heads.length);
      for (const { shapeKey } of heads) seen.add(shapeKey);
    }
    expect(seen.size).toBe(25_500);
  });

  it("a poll tries each shape, whatever was heard: all of few, of many a thousand at a time", async () => {
    const few = begin(1_000);
    expect(few.queue.turnOf(await few.queue.read()).size).toBe(1_000);
    const { queue } = begin(2_500);
    const heads = await queue.read();
    const turns = [queue.turnOf(heads), queue.turnOf(heads), queue.turnOf(heads)];
    expect(turns.map(({ size }) => size)).toEqual([1_000, 1_000, 1_000]);
    expect(new Set(turns.flatMap((turn) => [...turn])).size).toBe(2_500);
  });

  it("of one plan are those of that plan", async () => {
    expect(await begin(5).queue.read("plan")).toHaveLength(1);
  });
});
