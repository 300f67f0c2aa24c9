import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  durationFromMs,
  durationFromMsOrNull,
  msFromDuration,
  msFromTimestamp,
  timestampFromMs,
  timestampFromMsOrNull,
} from "./time.ts";

describe("time", () => {
  it("keeps milliseconds both ways, before 1970 too", () => {
    fc.assert(
      fc.property(fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }), (ms) => {
        const timestamp = timestampFromMs(ms);
        expect(timestamp.nanos).toBeGreaterThanOrEqual(0);
        expect(msFromTimestamp(timestamp)).toBe(ms);
      }),
    );
    fc.assert(
      fc.property(fc.integer({ min: -1e12, max: 1e12 }), (ms) => {
        const { seconds, nanos } = durationFromMs(ms);
        expect(Math.sign(seconds) * Math.sign(nanos)).toBeGreaterThanOrEqual(0);
        expect(msFromDuration({ seconds, nanos })).toBe(ms);
      }),
    );
  });

  it("has no negative zero", () => {
    expect(Object.is(durationFromMs(-5).seconds, 0)).toBe(true);
    expect(Object.is(durationFromMs(-5000).nanos, 0)).toBe(true);
  });

  it("keeps absence", () => {
    expect(msFromTimestamp(undefined)).toBeNull();
    expect(msFromDuration(undefined)).toBeNull();
    expect(timestampFromMsOrNull(null)).toBeUndefined();
    expect(durationFromMsOrNull(null)).toBeUndefined();
  });

  it("refuses what is no time", () => {
    expect(() => timestampFromMs(Number.NaN)).toThrow(RangeError);
    expect(() => durationFromMs(Number.POSITIVE_INFINITY)).toThrow(RangeError);
  });
});
