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

  isFrom(slot: number, key: SortKey): boolean {
    return this.#compare(this.#keyOf(slot), key, false) >= 0;
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

/** Each with the same chance, all, or those that stand side by side somewhere in the order. */
function someOf(inOrder: readonly number[], slots: number, random: () => number): Bits {
  const found: Bits = new Int32Array(wordsFor(slots));
  const kind = random();
  const share = kind < 0.3 ? 1 : random() * random();
  const from = kind < 0.6 ? 0 : Math.floor(random() * inOrder.length);
  const to = kind < 0.6 ? inOrder.length : from + Math.floor(random() * 400);
  for (const slot of inOrder.slice(from, to)) if (random() < share || kind >= 0.8) addBit(found, slot);
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
          const key = { value: figure(), agentId: idOf(nat(slots)) };
          const inOrder = model.inOrder(null, false);
          // To walk sorts all that is walked through; the first of a set are also looked for where nothing is sorted.
          if (random() < 0.3) expect(walked(sorted, null)).toEqual(inOrder);
          for (const descending of [false, true]) {
            const found = someOf(inOrder, slots, random);
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
          expect(walked(sorted, null, 7)).toEqual(inOrder.slice(0, 7));
          const fromKey = inOrder.filter((slot) => model.isFrom(slot, key));
          expect(walked(sorted, key, 30)).toEqual(fromKey.slice(0, 30));
        }
      }),
      { numRuns: 60 },
    );
  });

  it("what is asked for is given up only when more than so many others stand before it, in both directions", () => {
    const slots = 10_000;
    const sorted = new SortedSlots(idOf);
    sorted.fill(Array.from({ length: slots }, (_, slot) => [slot, slot] as const));
    const ofRanges = (...ranges: readonly (readonly [number, number])[]): Bits => {
      const found: Bits = new Int32Array(wordsFor(slots));
      for (const [from, to] of ranges) for (let slot = from; slot < to; slot += 1) addBit(found, slot);
      return found;
    };
    const asked = { after: null, limit: 51, maxSteps: 1_400 };
    for (const descending of [false, true]) {
      const [near, far] = descending ? [9_900, 0] : [0, 9_700];
      const atTheFront = ofRanges([descending ? slots - 51 : 0, descending ? slots : 51], [far, far + 300]);
      expect(sorted.firstOf(atTheFront, { ...asked, descending })).toHaveLength(51);
      expect(sorted.firstOf(ofRanges([far, far + 300]), { ...asked, descending })).toBeNull();
      expect(sorted.firstOf(ofRanges([near, near + 100]), { ...asked, descending })).toHaveLength(51);
    }
  });
});
