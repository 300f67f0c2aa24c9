import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { agedPriority, compareWaiting, inAgedOrder, inOrder, NO_AGEING } from "./ordering.ts";

const work = (id: string, priority: number, pausedAtMs: number) => ({ id, priority, pausedAtMs });
const ids = (list: readonly { readonly id: string }[]) => list.map((one) => one.id).join("");

describe("ordering", () => {
  it("DESIGN-5: priority, then age, then id", () => {
    expect(ids(inOrder([work("d", 0, 1), work("c", 0, 2), work("b", 0, 2), work("a", 9, 3)]))).toBe("adbc");
  });

  it("DESIGN-5: waiting adds priority, up to a bound", () => {
    const ageing = { msPerPoint: 1000, maxPoints: 5 };
    expect(agedPriority(work("a", 1, 0), 2500, ageing)).toBe(3);
    expect(agedPriority(work("a", 1, 0), 1e9, ageing)).toBe(6);
    expect(agedPriority(work("a", 1, 10), 0, ageing)).toBe(1);
    expect(agedPriority(work("a", 1, 0), 1e9, NO_AGEING)).toBe(1);
    expect(ids(inAgedOrder([work("new", 2, 10_000), work("old", 0, 0)], 10_000, ageing))).toBe("oldnew");
  });

  it("is a total order: the same whatever order the work comes in", () => {
    const any = fc.record({ id: fc.string(), priority: fc.integer(), pausedAtMs: fc.nat() });
    fc.assert(
      fc.property(fc.uniqueArray(any, { selector: (one) => one.id }), (list) => {
        expect(inOrder(list.toReversed())).toEqual(inOrder(list));
        for (const a of list) for (const b of list) expect(compareWaiting(a, b) === 0).toBe(a === b);
      }),
    );
  });
});
