/** What a card may expect, against the definitions written plainly. A failure prints its seed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { normalizeNeeds } from "../needs.ts";
import { CardDemand } from "./card-demand.ts";
import { CardHistory, cpuPerCard } from "./card-history.ts";
import type { CardClass } from "./machine-state.ts";
import { admitsClass, placementShape } from "./shape.ts";
import type { ShapeWeight } from "./task-mix.ts";

/** Of an agent that tells the bytes of a card of 24 GiB where MiB are meant. */
const BYTES_AS_MIB = 25_769_803_776;

const classOf = (totalMib: number): CardClass => ({ model: "a", totalMib, sharedMemory: false });

interface Asked {
  readonly cpuMillicores: number;
  readonly gpuCount: number;
  readonly gpuVramMib: number;
  readonly gpuExclusive: boolean;
  readonly gpuModels: readonly string[];
}

/** Shares are so many 1,024ths: their sums are exact in any order. */
const weightOf = (asked: Partial<Asked>, parts = 1_024): ShapeWeight => {
  return { shape: placementShape(normalizeNeeds({ gpuCount: 1, ...asked })), share: parts / 1_024 };
};

const anyWeights = fc.array(
  fc
    .record({
      cpuMillicores: fc.constantFrom(0, 0, 200, 500, 900, 1_500),
      gpuCount: fc.constantFrom(0, 1, 1, 1, 2),
      vram: fc.integer({ min: 0, max: 30 }),
      exclusive: fc.constantFrom(false, false, true),
      model: fc.constantFrom<string[]>([], [], ["a"], ["b"]),
      parts: fc.integer({ min: 1, max: 64 }),
    })
    .map(({ cpuMillicores, gpuCount, vram, exclusive, model, parts }) => {
      const ofCards = { gpuVramMib: vram, gpuExclusive: exclusive, gpuModels: model };
      return weightOf({ cpuMillicores, gpuCount, ...(gpuCount > 0 ? ofCards : {}) }, parts);
    }),
  { maxLength: 16 },
);

const takenMib = ({ shape }: ShapeWeight, totalMib: number): number => (shape.exclusive ? totalMib : shape.perCardMib);

/** The share of tasks with one card that fit into so much VRAM and CPU: each of them is looked at. */
function fittingByLooking(weights: readonly ShapeWeight[], cardClass: CardClass, freeMib: number, cpu: number): number {
  return weights
    .filter(({ shape }) => shape.gpuCount === 1 && admitsClass(shape, cardClass) && shape.cpuMillicores <= cpu)
    .filter((weight) => takenMib(weight, cardClass.totalMib) <= freeMib)
    .reduce((sum, { share }) => sum + share, 0);
}

/** The formula of `leftover`, as it stands there. */
function leftoverByFormula(weights: readonly ShapeWeight[], cardClass: CardClass): (g: number, c: number) => number {
  const history = new CardHistory();
  const tasks = weights.filter(({ shape }) => shape.gpuCount > 0 && admitsClass(shape, cardClass));
  const known = new Map<string, number>();
  const expected = (freeMib: number, step: number): number => {
    if (freeMib <= 0) return 0;
    const key = `${freeMib} ${step}`;
    const before = known.get(key);
    if (before !== undefined) return before;
    let weight = freeMib >= cardClass.totalMib ? 0 : 1 / 0.8;
    let sum = weight * freeMib;
    for (const task of tasks) {
      const cpuMillicores = cpuPerCard(task.shape);
      const perCardMib = takenMib(task, cardClass.totalMib);
      const steps = Math.ceil(cpuMillicores / 500);
      if (perCardMib > freeMib || steps > step) continue;
      const rate = history.rate(cardClass, freeMib)({ cpuMillicores, perCardMib, share: task.share });
      weight += rate;
      sum += rate * expected(freeMib - perCardMib, step - steps);
    }
    const found = weight > 0 ? sum / weight : freeMib;
    known.set(key, found);
    return found;
  };
  return expected;
}

describe("the share of tasks that fit on a card", () => {
  it("is that of those that are no larger than what is free", () => {
    fc.assert(
      fc.property(anyWeights, fc.integer({ min: 1, max: 40 }), (weights, totalMib) => {
        const cardClass = classOf(totalMib);
        const demand = new CardDemand(weights, cardClass, new CardHistory());
        for (const cpu of [0, 200, 499, 500, 1_000, 2_000]) {
          const level = demand.cpuLevel(cpu);
          for (let free = 0; free <= totalMib; free += 1) {
            expect(demand.fittingShare(free, level)).toBe(fittingByLooking(weights, cardClass, free, cpu));
          }
        }
      }),
    );
  });

  it.each([2 ** 28, 2 ** 31, BYTES_AS_MIB, 2 ** 50])("is told of a card of %d MiB", (totalMib) => {
    const weights = [weightOf({ gpuVramMib: 8_192 }, 768), weightOf({ gpuExclusive: true }, 256)];
    const demand = new CardDemand(weights, classOf(totalMib), new CardHistory());
    const shareOf = (freeMib: number): number => demand.fittingShare(freeMib, demand.cpuLevel(1_000));
    expect([8_191, 8_192, totalMib - 1, totalMib].map(shareOf)).toEqual([0, 0.75, 0.75, 1]);
  });
});

describe("the expected leftover of a card", () => {
  it("is what the formula says", () => {
    fc.assert(
      fc.property(anyWeights, fc.integer({ min: 1, max: 40 }), (weights, totalMib) => {
        const demand = new CardDemand(weights, classOf(totalMib), new CardHistory());
        const byFormula = leftoverByFormula(weights, classOf(totalMib));
        for (const step of [5, 0, 2]) {
          for (let free = totalMib; free > 0; free -= 1) {
            expect(demand.leftover(free, step * 500)).toBeCloseTo(byFormula(free, step), 9);
          }
        }
      }),
    );
  });

  it.each([24_576, 2 ** 24, BYTES_AS_MIB, 2 ** 50])(
    "is told of a card of %d MiB, also where tasks ask for no CPU and for a few MiB",
    (totalMib) => {
      const sizes = [1, 20, 300, 8_192];
      const weights = sizes.flatMap((gpuVramMib) =>
        [0, 500].map((cpuMillicores) => weightOf({ gpuVramMib, cpuMillicores }, 8)),
      );
      const demand = new CardDemand(weights, classOf(totalMib), new CardHistory());
      for (const free of [totalMib - 5_000, totalMib, totalMib - 1, totalMib / 2, 7_000]) {
        for (const cpu of [0, 4_000, 128_000]) {
          const left = demand.leftover(free, cpu);
          expect(left).toBeGreaterThanOrEqual(0);
          expect(left).toBeLessThanOrEqual(totalMib);
        }
      }
    },
  );
});
