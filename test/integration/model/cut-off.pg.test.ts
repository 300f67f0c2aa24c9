import { wire } from "@headroom/contracts";
import { SeededRandom } from "@headroom/testing";
import { describe, expect, it, vi } from "vitest";
import { assertNoViolations } from "../../support/invariants/assert.ts";
import { createWorld } from "./world.ts";

vi.setConfig({ testTimeout: 300_000 });

/** Nine cores in all, on which 30 tasks of one or two need some rounds, and one that needs a whole machine. */
const plan = (number: number): Partial<wire.WorkPlan> =>
  wire.WorkPlan.fromPartial({
    name: `cut-off-${number}`,
    tasks: Array.from({ length: 10 }, (_, index) => ({
      name: `c${number}-t${index + 1}`,
      command: { argv: ["pass"] },
      needs: { cpuCores: index === 0 ? 4 : 1 + (index % 2), ...(index % 4 === 3 && { gpuVramGb: 10 }) },
      ...(index > 7 && { dependsOn: [`c${number}-t1`] }),
    })),
  });

describe("no notification of the database, and no word of room that appears", () => {
  // The replicas of the model hear no NOTIFY: they are given a store, and no listener beside it.
  for (const watch of ["silent", "refused"] as const) {
    const cut = watch === "silent" ? "WatchCapacity tells of the fleet once" : "WatchCapacity is refused";
    it(`DESIGN 5: ${cut}: everything still ends, by the poll`, async () => {
      const world = await createWorld(new SeededRandom(1), watch);
      try {
        for (const [index, replica] of world.replicas.entries()) await world.submit(replica, plan(index));
        const facts = await world.settle();
        assertNoViolations(facts, { waitBoundMs: 30_000 });
        expect(facts.tasks.map(({ state }) => state)).toEqual(facts.tasks.map(() => "succeeded"));
        expect(facts.tasks).toHaveLength(30);
        expect(facts.pauses.length).toBeGreaterThan(5);
      } finally {
        await world.close();
      }
    });
  }
});
