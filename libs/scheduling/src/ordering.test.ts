import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inQueueOrder, queueRank, type WaitingWork } from "./ordering.ts";

const POINT_MS = 600_000;
const work = (over: Partial<WaitingWork> = {}): WaitingWork => ({
  id: "a",
  priority: 0,
  acceptedAtMs: 1_790_000_000_000,
  position: 0,
  ...over,
});
const anyWork = fc.record({
  id: fc.uuid(),
  priority: fc.integer({ min: -1_000, max: 1_000 }),
  acceptedAtMs: fc.integer({ min: 1_700_000_000_000, max: 1_900_000_000_000 }),
  position: fc.integer({ min: 0, max: 9_999 }),
});

describe("the order of waiting work", () => {
  it("priority, then age, then the place in the plan", () => {
    const ids = (...waiting: WaitingWork[]) => inQueueOrder(waiting, POINT_MS).map(({ id }) => id);
    expect(ids(work({ id: "low" }), work({ id: "high", priority: 1 }))).toEqual(["high", "low"]);
    expect(ids(work({ id: "young", acceptedAtMs: 1_790_000_000_001 }), work({ id: "old" }))).toEqual(["old", "young"]);
    expect(ids(work({ id: "second", position: 1 }), work({ id: "first" }))).toEqual(["first", "second"]);
  });

  it("a point of priority is worth ten minutes of waiting, and no more", () => {
    const old = work({ id: "old" });
    const later = (ms: number) => work({ id: "urgent", priority: 1, acceptedAtMs: old.acceptedAtMs + ms });
    expect(inQueueOrder([old, later(POINT_MS - 1)], POINT_MS)[0]?.id).toBe("urgent");
    expect(inQueueOrder([old, later(POINT_MS + 1)], POINT_MS)[0]?.id).toBe("old");
  });

  it("property: nothing starves: whatever is accepted late enough stands behind it, whatever its priority", () => {
    fc.assert(
      fc.property(anyWork, anyWork, fc.integer({ min: 1, max: 3_600_000 }), (waiting, other, pointMs) => {
        const higherBy = Math.max(0, other.priority - waiting.priority);
        const late = { ...other, acceptedAtMs: waiting.acceptedAtMs + higherBy * pointMs + 11 };
        expect(queueRank(late, pointMs)).toBeGreaterThan(queueRank(waiting, pointMs));
      }),
    );
  });

  it("property: within a point's time of each other the higher priority is first; the order is total", () => {
    fc.assert(
      fc.property(fc.array(anyWork, { maxLength: 20 }), (waiting) => {
        const order = inQueueOrder(waiting, POINT_MS);
        expect(inQueueOrder(waiting.toReversed(), POINT_MS)).toEqual(order);
        for (const [index, later] of order.entries()) {
          for (const earlier of order.slice(0, index)) {
            const apartMs = Math.abs(earlier.acceptedAtMs - later.acceptedAtMs);
            if (apartMs < POINT_MS - 20) expect(earlier.priority).toBeGreaterThanOrEqual(later.priority);
          }
        }
      }),
    );
  });
});
