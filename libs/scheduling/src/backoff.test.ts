import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { backoffCeilingMs, backoffMs } from "./backoff.ts";

const backoff = { baseMs: 100, maxMs: 30_000 };

describe("backoff", () => {
  it("doubles with each failure up to the cap", () => {
    expect([0, 1, 2, 3, 9, 10, 1e9].map((failures) => backoffCeilingMs(failures, backoff))).toEqual([
      100, 100, 200, 400, 25_600, 30_000, 30_000,
    ]);
  });

  it("spreads over the whole range, in whole milliseconds", () => {
    expect([backoffMs(3, backoff, 0), backoffMs(3, backoff, 0.5), backoffMs(3, backoff, 0.999999)]).toEqual([
      0, 200, 400,
    ]);
    fc.assert(
      fc.property(fc.nat(), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (failures, random) => {
        const waitMs = backoffMs(failures, backoff, random);
        expect(Number.isInteger(waitMs) && waitMs >= 0 && waitMs <= backoffCeilingMs(failures, backoff)).toBe(true);
      }),
    );
  });
});
