import * as fc from "fast-check";
import { expect, it } from "vitest";
import { jitter, systemRandom } from "./index.ts";

it("next is from 0 to below 1, uuid is a lower-case version 4 UUID", () => {
  for (let turn = 0; turn < 1_000; turn += 1) {
    const value = systemRandom.next();
    expect(value >= 0 && value < 1).toBe(true);
  }
  expect(systemRandom.uuid()).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

it("jitter stays within its fraction and is never negative", () => {
  const inUnit = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  fc.assert(
    fc.property(
      inUnit,
      fc.integer({ min: 0, max: 1_000_000 }),
      fc.double({ min: 0, max: 2, noNaN: true }),
      (next, valueMs, fraction) => {
        const spread = jitter({ next: () => next, uuid: () => "" }, valueMs, fraction);
        expect(spread).toBeGreaterThanOrEqual(0);
        expect(Math.abs(spread - valueMs)).toBeLessThanOrEqual(valueMs * fraction + 1e-6);
      },
    ),
  );
});
