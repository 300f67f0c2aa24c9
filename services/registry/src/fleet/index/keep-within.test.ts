import { seededRandom } from "@headroom/scheduling";
import fc from "fast-check";
import { expect, it } from "vitest";
import { addBit, type Bits, eachBit, ScratchBits, wordsFor } from "./bits.ts";
import { atLeast, atMost, keepWithin } from "./keep-within.ts";
import { RangeColumn } from "./range-column.ts";

const anyFleet = fc.record({
  seed: fc.nat(),
  /** Columns of so few have no bounds, of so many they do. */
  slots: fc.constantFrom(40, 3_000),
  spread: fc.constantFrom(1, 6, 100_000),
  bounds: fc.array(
    fc.record({ column: fc.nat(2), isBelow: fc.boolean(), share: fc.double({ min: -0.1, max: 1.1, noNaN: true }) }),
    {
      maxLength: 5,
    },
  ),
});

it("several bounds at once keep whom each of them keeps by the figure itself, whoever was in question", () => {
  const scratch = new ScratchBits();
  fc.assert(
    fc.property(anyFleet, ({ seed, slots, spread, bounds }) => {
      const random = seededRandom(seed);
      const nat = (below: number): number => Math.floor(random() * below);
      const columns = [new RangeColumn(), new RangeColumn(), new RangeColumn()];
      // More than half of it twice: columns are divided by how often they change.
      for (let write = 0; write < 2 * slots; write += 1) {
        const slot = write < slots ? write : nat(slots);
        for (const column of columns) column.set(slot, nat(spread));
      }
      const found: Bits = new Int32Array(wordsFor(slots));
      const members = new Set<number>();
      for (let slot = 0; slot < slots; slot += 1) {
        if (random() < 0.3) continue;
        addBit(found, slot);
        members.add(slot);
      }
      const asked = bounds.map(({ column, isBelow, share }) => {
        const limit = Math.round(share * spread);
        return isBelow ? atMost(columns[column]!, limit) : atLeast(columns[column]!, limit);
      });
      const isWithin = (slot: number): boolean =>
        asked.every(({ column, limit, isBelow }) => column.valueOf(slot) < limit === isBelow);
      const expected = [...members].filter(isWithin);
      scratch.reset(found.length);
      keepWithin(found, asked, scratch);
      const kept: number[] = [];
      eachBit(found, (slot) => void kept.push(slot));
      expect(kept).toEqual(expected);
    }),
    { numRuns: 200 },
  );
});
