import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  coresFromMillicores,
  gbFromMib,
  MAX_UNITS,
  mibFromGb,
  mibFromGbAtMost,
  mibFromGbRequested,
  millicoresFromCores,
  millicoresFromCoresAtMost,
  millicoresFromCoresRequested,
} from "./units.ts";

const mib = fc.integer({ min: 0, max: 2 ** 40 });
const millicores = fc.integer({ min: 0, max: 4_096_000 });

describe("units", () => {
  it("rounds requests up", () => {
    expect(mibFromGbRequested(0.1)).toBe(103);
    expect(mibFromGbRequested(3.2)).toBe(3277);
    expect(mibFromGbRequested(4)).toBe(4096);
    expect(mibFromGbRequested(1 / 2 ** 20)).toBe(1);
    expect(millicoresFromCoresRequested(0.0001)).toBe(1);
    expect(millicoresFromCoresRequested(0)).toBe(0);
  });

  it("does not mistake a binary fraction for more", () => {
    expect(millicoresFromCoresRequested(0.1)).toBe(100);
    expect(millicoresFromCoresRequested(1.1)).toBe(1100);
    expect(millicoresFromCoresRequested(0.1 + 0.2)).toBe(300);
    expect(Object.is(mibFromGbRequested(1e-12), 0)).toBe(true);
  });

  it("rounds upper bounds down", () => {
    expect(mibFromGbAtMost(0.1)).toBe(102);
    expect(millicoresFromCoresAtMost(0.1)).toBe(100);
    expect(millicoresFromCoresAtMost(1.0009)).toBe(1000);
  });

  it("takes an upper bound beyond every machine for none", () => {
    expect(mibFromGbAtMost(1e300)).toBe(MAX_UNITS);
    expect(millicoresFromCoresAtMost(Number.MAX_VALUE)).toBe(MAX_UNITS);
  });

  it.each([Number.NaN, Number.NEGATIVE_INFINITY, -1])("refuses %s", (amount) => {
    for (const convert of [mibFromGbRequested, mibFromGbAtMost, millicoresFromCoresRequested]) {
      expect(() => convert(amount)).toThrow(RangeError);
    }
  });

  it.each([Number.POSITIVE_INFINITY, 1e300])("refuses %s, but as a bound", (amount) => {
    for (const convert of [mibFromGbRequested, millicoresFromCoresRequested]) {
      expect(() => convert(amount)).toThrow(RangeError);
    }
  });

  it.each([
    [Number.NaN, 0],
    [Number.NEGATIVE_INFINITY, 0],
    [-1, 0],
    [1e300, MAX_UNITS],
    [Number.POSITIVE_INFINITY, MAX_UNITS],
  ])("reads %s that it is told as %s", (amount, units) => {
    for (const convert of [mibFromGb, millicoresFromCores]) expect(convert(amount)).toBe(units);
  });

  it("gives what a service wrote back exactly, and asks for no more than it", () => {
    fc.assert(
      fc.property(mib, (amount) => {
        expect(mibFromGb(gbFromMib(amount))).toBe(amount);
        expect(mibFromGbRequested(gbFromMib(amount))).toBe(amount);
        expect(mibFromGbAtMost(gbFromMib(amount))).toBe(amount);
      }),
    );
    fc.assert(
      fc.property(millicores, (amount) => {
        expect(millicoresFromCores(coresFromMillicores(amount))).toBe(amount);
        expect(millicoresFromCoresRequested(coresFromMillicores(amount))).toBe(amount);
        expect(millicoresFromCoresAtMost(coresFromMillicores(amount))).toBe(amount);
      }),
    );
  });
});
