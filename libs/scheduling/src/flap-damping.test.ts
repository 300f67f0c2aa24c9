import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  afterFlap,
  FLAP_MEMORY_MS,
  FLAPS_TOLERATED,
  flapsRemembered,
  isMassFlap,
  isProbationOver,
  MAX_PROBATION_MS,
  MIN_PROBATION_MS,
  newerFlapping,
  NO_FLAPS,
} from "./flap-damping.ts";

/** Flaps one after the other, so many milliseconds apart. */
function flapping(count: number, apartMs = 1_000) {
  let record = NO_FLAPS;
  for (let index = 0; index < count; index += 1) record = afterFlap(record, index * apartMs);
  return record;
}

describe("flap damping", () => {
  it("DESIGN-4: a few flaps are tolerated, one more means probation", () => {
    expect(flapping(FLAPS_TOLERATED).probationUntilMs).toBeNull();
    expect(flapping(FLAPS_TOLERATED + 1).probationUntilMs).toBe(FLAPS_TOLERATED * 1_000 + MIN_PROBATION_MS);
  });

  it("a registry may tolerate more of them, or none", () => {
    expect(afterFlap(NO_FLAPS, 0, 0).probationUntilMs).toBe(MIN_PROBATION_MS);
    const [three, four] = [3, 4].map((flaps) => afterFlap({ ...NO_FLAPS, flaps, lastFlapAtMs: 0 }, 0, 4));
    expect(three?.probationUntilMs).toBeNull();
    expect(four?.probationUntilMs).toBe(MIN_PROBATION_MS);
  });

  it("DESIGN-4: the probation doubles with each flap, up to its bound", () => {
    const lengths = [1, 2, 3, 4, 5, 6, 20].map((extra) => {
      const record = flapping(FLAPS_TOLERATED + extra, 1);
      return record.probationUntilMs! - record.lastFlapAtMs!;
    });
    expect(lengths).toEqual([30_000, 60_000, 120_000, 240_000, 480_000, MAX_PROBATION_MS, MAX_PROBATION_MS]);
  });

  it("DESIGN-4: calm is rewarded, one flap after the other", () => {
    const record = flapping(FLAPS_TOLERATED, 0);
    expect(flapsRemembered(record, FLAP_MEMORY_MS - 1)).toBe(3);
    expect(flapsRemembered(record, FLAP_MEMORY_MS)).toBe(2);
    expect(flapsRemembered(record, 100 * FLAP_MEMORY_MS)).toBe(0);
    expect(afterFlap(record, FLAP_MEMORY_MS).probationUntilMs).toBeNull();
  });

  it("ends, and only when it is over", () => {
    const record = flapping(FLAPS_TOLERATED + 1, 0);
    expect(isProbationOver(record, MIN_PROBATION_MS - 1)).toBe(false);
    expect(isProbationOver(record, MIN_PROBATION_MS)).toBe(true);
    expect(isProbationOver(NO_FLAPS, 1e15)).toBe(false);
  });

  it("of two memories the later one counts", () => {
    const [old, recent] = [flapping(1), flapping(3)];
    expect(newerFlapping(old, recent)).toBe(recent);
    expect(newerFlapping(recent, old)).toBe(recent);
    expect(newerFlapping(NO_FLAPS, old)).toBe(old);
  });

  it("a loss of many at once is nobody's flap", () => {
    expect(isMassFlap(9, 9)).toBe(false);
    expect(isMassFlap(10, 10)).toBe(true);
    expect(isMassFlap(150, 1_000)).toBe(false);
    expect(isMassFlap(151, 1_000)).toBe(true);
  });

  it("a probation is bounded, and no flap shortens it, whatever the times", () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 3 * FLAP_MEMORY_MS }), { maxLength: 40 });
    fc.assert(
      fc.property(gaps, (gapsMs) => {
        let nowMs = 0;
        let record = NO_FLAPS;
        for (const gapMs of gapsMs) {
          nowMs += gapMs;
          const after = afterFlap(record, nowMs);
          expect(after.flaps).toBeGreaterThan(0);
          expect((after.probationUntilMs ?? nowMs) - nowMs).toBeLessThanOrEqual(MAX_PROBATION_MS);
          expect(after.probationUntilMs ?? 0).toBeGreaterThanOrEqual(record.probationUntilMs ?? 0);
          record = isProbationOver(after, nowMs) ? { ...after, probationUntilMs: null } : after;
        }
      }),
    );
  });
});
