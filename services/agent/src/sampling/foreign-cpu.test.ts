import { describe, expect, it } from "vitest";
import { foreignCpu } from "./foreign-cpu.ts";

describe("CPU of other programs", () => {
  it("is what the machine is busy with less what attempts took in the same time", () => {
    const meter = foreignCpu();
    meter.measure(0, 0, 1_000);
    // 1,500 of 2,000 millicores busy for 5 s, of which an attempt took 1 core for 5 s.
    expect(meter.measure(1_500, 5_000, 6_000)).toBe(500);
  });

  it("does not take for the owner's what an attempt took before it ended in this interval", () => {
    const meter = foreignCpu();
    meter.measure(0, 0, 1_000);
    // The attempt took a whole core for 4 of 5 s and is gone: its time still counts as ours.
    expect(meter.measure(800, 4_000, 6_000)).toBe(0);
  });

  it("keeps the figure when asked again before the load was measured anew", () => {
    const meter = foreignCpu();
    meter.measure(0, 0, 1_000);
    expect(meter.measure(700, 0, 2_000)).toBe(700);
    expect(meter.measure(700, 190, 2_190)).toBe(700);
    // The 190 ms are not lost: they count in the next interval.
    expect(meter.measure(190, 190, 3_000)).toBe(0);
  });

  it("is never negative, however the two clocks disagree", () => {
    const meter = foreignCpu();
    meter.measure(0, 0, 1_000);
    expect(meter.measure(100, 9_000, 2_000)).toBe(0);
  });
});
