/** The search by parts against the plain way, which looks at every agent. A failure prints its seed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { eachBit } from "./bits.ts";
import { CapacityIndex } from "./capacity-index.ts";
import { FleetParts } from "./fleet-parts.ts";
import { anyNeeds, anyOptions, LargeFleet } from "./large-fleet.test-helper.ts";
import { meantSets } from "./meant-sets.ts";
import { NearestSearch } from "./nearest-search.ts";
import { NearestSlots } from "./nearest-slots.ts";
import { RankBounds } from "./rank-bounds.ts";

describe("NearestSearch", () => {
  it("finds the best bounds of all, in their order, however far the fleet is divided", () => {
    const anyQuestion = fc.tuple(anyNeeds, anyOptions, fc.integer({ min: 1, max: 40 }), fc.constantFrom(0, 0, 20, 300));
    fc.assert(
      fc.property(
        fc.integer(),
        fc.oneof(fc.constantFrom(1, 2), fc.integer({ min: 1, max: 1_000 })),
        fc.array(anyQuestion, { minLength: 1, maxLength: 8 }),
        (seed, spread, questions) => {
          const large = new LargeFleet(seed, spread);
          const index = new CapacityIndex(large.fleet);
          for (const [needs, options, max, few] of questions) {
            large.changeSome();
            index.refresh();
            index.scratch.reset(index.fitColumns.words);
            const scaled = large.scaled(needs);
            const sets = meantSets(index, scaled, options);
            const bounds = new RankBounds(index, scaled, options, sets);
            const plain = new NearestSlots(index, max);
            const all = index.scratch.copyOf(index.fitColumns.sets.known);
            eachBit(all, (slot) => {
              bounds.look(slot);
              plain.offer(slot, bounds.key, bounds.weight);
            });
            const found = new NearestSlots(index, max);
            new NearestSearch(index, new FleetParts(index, scaled, options, sets), bounds, few).run(all, found);
            expect(found.slots).toEqual(plain.slots);
          }
        },
      ),
      { numRuns: 50 },
    );
  }, 60_000);
});
