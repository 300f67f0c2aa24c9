import { seededRandom } from "@headroom/scheduling";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { addBit, type Bits, hasBit, wordsFor } from "./bits.ts";
import { SortedSlots, type SortKey, type SortValue } from "./sorted-slots.ts";

const idOf = (slot: number): string => `agent-${String((slot * 7_919) % 100_003).padStart(6, "0")}`;

/** The same as a plain list, sorted whenever it is read. */
class Model {
  readonly values = new Map<number, SortValue>();

  inOrder(after: SortKey | null, descending: boolean): readonly number[] {
    const isBehind = (slot: number): boolean =>
      after === null || this.#compare(this.#keyOf(slot), after, descending) > 0;
    return [...this.values.keys()]
      .filter(isBehind)
      .sort((a, b) => this.#compare(this.#keyOf(a), this.#keyOf(b), descending));
  }

  #keyOf(slot: number): SortKey {
    return { value: this.values.get(slot) ?? 0, agentId: idOf(slot) };
  }

  #compare(a: SortKey, b: SortKey, descending: boolean): number {
    if (a.value !== b.value) return a.value < b.value === descending ? 1 : -1;
    return a.agentId < b.agentId ? -1 : a.agentId > b.agentId ? 1 : 0;
  }
}

function walked(sorted: SortedSlots, from: SortKey | null, atMost = Infinity): readonly number[] {
  const found: number[] = [];
  sorted.walk(from, (slot) => found.push(slot) < atMost);
  return found;
}

/** Each slot with the same chance. */
function someOf(slots: number, share: number, random: () => number): Bits {
  const found: Bits = new Int32Array(wordsFor(slots));
  for (let slot = 0; slot < slots; slot += 1) if (random() < share) addBit(found, slot);
  return found;
}

/** How many agents, how different their figures are, and what happens to them. */
const anyHistory = fc.record({
  seed: fc.nat(),
  slots: fc.constantFrom(3, 40, 2_000),
  spread: fc.constantFrom(1, 5, 1_000, 1e9),
  asText: fc.boolean(),
  steps: fc.array(fc.constantFrom("set", "set", "delete", "read", "drift"), { minLength: 1, maxLength: 12 }),
});

describe("an order of agents", () => {
  it("is what sorting them all would give, in both directions, from any position, whatever has changed", () => {
    fc.assert(
      fc.property(anyHistory, ({ seed, slots, spread, asText, steps }) => {
        const random = seededRandom(seed);
        const nat = (below: number): number => Math.floor(random() * below);
        const figure = (from = 0): SortValue => (asText ? `figure-${from + nat(spread)}` : from + nat(spread) - 0.5);
        const sorted = new SortedSlots(idOf);
        const model = new Model();
        const set = (slot: number, value: SortValue): void => {
          sorted.set(slot, value);
          model.values.set(slot, value);
        };
        const first = Array.from({ length: nat(slots) }, (_, slot) => [slot, figure()] as const);
        sorted.fill(first);
        for (const [slot, value] of first) model.values.set(slot, value);
        for (const [number, step] of steps.entries()) {
          const changes = step === "read" ? 0 : slots;
          for (let change = 0; change < changes; change += 1) {
            const slot = nat(slots);
            if (step === "set") set(slot, figure());
            // As times do, which only grow.
            else if (step === "drift") set(slot, figure(number * spread));
            else {
              sorted.delete(slot);
              model.values.delete(slot);
            }
          }
          expect(walked(sorted, null)).toEqual(model.inOrder(null, false));
          expect(walked(sorted, null, 7)).toEqual(model.inOrder(null, false).slice(0, 7));
          const key = { value: figure(), agentId: idOf(nat(slots)) };
          const found = someOf(slots, random() < 0.3 ? 1 : random() * random(), random);
          for (const descending of [false, true]) {
            for (const after of [null, key]) {
              const limit = 1 + nat(80);
              const expected = model.inOrder(after, descending).filter((slot) => hasBit(found, slot));
              const asked = { descending, after, limit };
              const all = sorted.firstOf(found, { ...asked, maxSteps: Infinity });
              expect(all).toEqual(expected.slice(0, limit));
              // Given up or not, what is answered is right.
              expect([all, null]).toContainEqual(sorted.firstOf(found, { ...asked, maxSteps: nat(slots) }));
            }
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});
