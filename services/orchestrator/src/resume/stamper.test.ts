import { manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import type { Held } from "../placing/placer.ts";
import { createStamper } from "./stamper.ts";

/** Shapes that have more rows than one statement for many of them marks. */
function begin(longer: readonly string[] = []) {
  const ports = manualPorts();
  const fronts: (readonly string[])[] = [];
  const single: string[] = [];
  const stamper = createStamper({
    store: {
      markFronts(shapes) {
        const keys = shapes.map(({ shapeKey }) => shapeKey);
        fronts.push(keys);
        return Promise.resolve(new Set(keys.filter((key) => longer.includes(key))));
      },
      markChecked({ shapeKey }) {
        single.push(shapeKey);
        return Promise.resolve({ marked: 1, last: null });
      },
    },
    clock: ports.clock,
    freshMs: 10_000,
  });
  return { ports, fronts, single, stamper };
}

const shapesOf = (count: number, reason: Held["reason"] = "NO_AGENT_FITS_NOW"): ReadonlyMap<string, Held> =>
  new Map(Array.from({ length: count }, (_, index) => [`shape-${index}`, { reason, sentence: "full" }]));
const byEvent = { planId: null, cause: "room appeared", thorough: false };
const byPoll = { planId: null, cause: "interval", thorough: true };

describe("R-PAUSE-6: rows that were looked at in vain", () => {
  it.each([byEvent, byPoll])("of very many shapes are stamped by a few statements ($cause)", async (request) => {
    const { fronts, single, stamper } = begin(["shape-7", "shape-1100"]);
    await stamper.stamp(shapesOf(1_200), request);
    expect(fronts.map(({ length }) => length)).toEqual([500, 500, 200]);
    // The rest of those that have more rows than these mark.
    expect(single).toEqual(["shape-7", "shape-1100"]);
  });

  it("of few shapes are stamped whole at once", async () => {
    const { fronts, single, stamper } = begin();
    await stamper.stamp(shapesOf(3), byPoll);
    await stamper.stamp(new Map(), byPoll);
    expect([fronts, single]).toEqual([[], ["shape-0", "shape-1", "shape-2"]]);
  });

  it("are stamped again by events when something else was found, or after a while; by a poll each time", async () => {
    const { ports, single, stamper } = begin();
    await stamper.stamp(shapesOf(1), byEvent);
    await ports.advance(9_000);
    await stamper.stamp(shapesOf(1), byEvent);
    expect(single).toHaveLength(1);
    await stamper.stamp(shapesOf(1, "FLEET_BELOW_THRESHOLD"), byEvent);
    expect(single).toHaveLength(2);
    await stamper.stamp(shapesOf(1, "FLEET_BELOW_THRESHOLD"), byPoll);
    expect(single).toHaveLength(3);
    await ports.advance(9_000);
    await stamper.stamp(shapesOf(1, "FLEET_BELOW_THRESHOLD"), byEvent);
    expect(single).toHaveLength(3);
    await ports.advance(1_000);
    await stamper.stamp(shapesOf(1, "FLEET_BELOW_THRESHOLD"), byEvent);
    expect(single).toHaveLength(4);
  });
});
