import { describe, expect, it } from "vitest";
import { Pace } from "./pace.ts";

const paceOf = (size: number, shortestMs = 5_000): Pace => new Pace({ size }, shortestMs);

describe("the pace of heartbeats", () => {
  it.each([
    [1, 5_000],
    [10_000, 5_000],
    [20_000, 10_000],
    [100_000, 50_000],
    [1_000_000, 60_000],
  ])("DESIGN-4: stretches with the agents that a process holds (%i: %i ms)", (size, intervalMs) => {
    expect(paceOf(size).intervalMs).toBe(intervalMs);
  });

  it("DESIGN-4: whoever is sent away is back before it would be suspect", () => {
    for (const size of [1, 1_000, 10_000, 100_000]) {
      const pace = paceOf(size);
      expect(pace.reconnectWithinMs).toBeGreaterThanOrEqual(2_000);
      expect(pace.reconnectWithinMs).toBeLessThan(3 * pace.intervalMs);
    }
  });
});
