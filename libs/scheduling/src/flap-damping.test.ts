import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  afterFlap,
  FLAP_MEMORY_MS,
  FLAPS_TOLERATED,
  flapsRemembered,
  forgiven,
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
    // The clock was set back since.
    const longest = { ...record, probationUntilMs: MAX_PROBATION_MS };
    expect([isProbationOver(longest, 0), isProbationOver(longest, -1)]).toEqual([false, true]);
  });

  it("of two memories the later one counts", () => {
    const [old, recent] = [flapping(1), flapping(3)];
    expect(newerFlapping(old, recent)).toBe(recent);
    expect(newerFlapping(recent, old)).toBe(recent);
    expect(newerFlapping(NO_FLAPS, old)).toBe(old);
  });

  it("DESIGN-4: what is forgiven is later than the blame, in whatever order the two are heard of, and lets no new flap be missed", () => {
    const record = fc.record({
      flaps: fc.integer({ min: 0, max: 10 }),
      lastFlapAtMs: fc.option(fc.integer({ min: 0, max: 3 * FLAP_MEMORY_MS })),
      probationUntilMs: fc.option(fc.integer({ min: 0, max: 5 * FLAP_MEMORY_MS })),
    });
    fc.assert(
      fc.property(record, fc.integer({ min: 1, max: 4 * FLAP_MEMORY_MS }), (before, laterMs) => {
        const atMs = (before.lastFlapAtMs ?? 0) + laterMs;
        const blamed = afterFlap(before, atMs);
        const after = forgiven(before, blamed);
        expect(newerFlapping(blamed, after)).toEqual(newerFlapping(after, blamed));
        expect(newerFlapping(blamed, after)).toEqual(after);
        expect(after.probationUntilMs).toBe(before.probationUntilMs);
        expect(flapsRemembered(after, atMs)).toBe(flapsRemembered(before, atMs));
        const again = afterFlap(after, atMs + 1);
        expect(newerFlapping(after, again)).toBe(again);
      }),
    );
  });

  it("of one whose probation has ended it is the later memory that it has", () => {
    const on = flapping(FLAPS_TOLERATED + 1);
    const over = { ...on, probationUntilMs: null };
    expect(newerFlapping(on, over)).toBe(over);
    expect(newerFlapping(over, on)).toBe(over);
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
