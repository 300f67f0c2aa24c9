import { describe, expect, it } from "vitest";
import { readTraceparent } from "./traceparent.ts";

const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
const span = "00f067aa0ba902b7";

describe("readTraceparent", () => {
  it("takes what is well-formed as it is", () => {
    expect(readTraceparent(`00-${trace}-${span}-01`)).toBe(`00-${trace}-${span}-01`);
  });

  it("drops everything else: it goes into tables and answers", () => {
    const bad = [
      undefined,
      "",
      `00-${trace}-${span}`,
      `00-${"0".repeat(32)}-${span}-01`,
      `00-${trace}-${"0".repeat(16)}-01`,
    ];
    for (const given of [
      ...bad,
      `ff-${trace}-${span}-01`,
      `00-${trace.toUpperCase()}-${span}-01`,
      `00-${trace}-${span}-01\n`,
    ]) {
      expect(readTraceparent(given)).toBeNull();
    }
  });
});
