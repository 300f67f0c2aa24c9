/** What every RegistryStore must do for what placement learns of the tasks. Run it on each implementation. */
import type { KeptShape, RegistryStore } from "@headroom/registry";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { StoreUnderTest } from "./fixtures.ts";

const HALF_LIFE = 20_000;
const MOST = 512;

const shapeOf = (overrides: Partial<KeptShape> = {}): KeptShape => ({
  cpuMillicores: 1_000,
  gpuCount: 1,
  gpuVramMib: 1_024,
  gpuExclusive: false,
  gpuModels: [],
  arrivals: 1,
  ...overrides,
});

export function registryTaskMixConformance(makeStore: () => Promise<StoreUnderTest>): void {
  describe("RegistryStore conformance: the mix of tasks", () => {
    let under: StoreUnderTest;
    let store: RegistryStore;
    // What has been added so far, decayed: the store must have the same.
    let expected = new Map<string, number>();
    let arrived = 0;

    beforeAll(async () => {
      under = await makeStore();
      store = under.store;
    });
    afterAll(async () => under?.close());

    const keyOf = ({ cpuMillicores, gpuCount, gpuVramMib, gpuExclusive, gpuModels }: KeptShape): string =>
      JSON.stringify([cpuMillicores, gpuCount, gpuVramMib, gpuExclusive, gpuModels]);
    const note = (fresh: readonly KeptShape[]): void => {
      const count = fresh.reduce((sum, { arrivals }) => sum + arrivals, 0);
      arrived += count;
      expected = new Map([...expected].map(([key, arrivals]) => [key, arrivals * 2 ** (-count / HALF_LIFE)]));
      for (const shape of fresh) expected.set(keyOf(shape), (expected.get(keyOf(shape)) ?? 0) + shape.arrivals);
    };

    it("is empty at first, and reading it changes nothing", async () => {
      const first = await store.addToTaskMix([]);
      expect(first).toMatchObject({ shapes: [], arrivals: 0 });
      expect(await under.second.addToTaskMix([])).toMatchObject({ shapes: [], arrivals: 0 });
    });

    it("adds what each process saw, older arrivals counting less, and answers the sum; a failure prints its seed", async () => {
      const anyShape = fc.record({
        cpuMillicores: fc.constantFrom(0, 500, 8_000),
        gpuCount: fc.constantFrom(0, 1, 8),
        gpuVramMib: fc.constantFrom(0, 470, 24_576),
        gpuExclusive: fc.boolean(),
        gpuModels: fc.constantFrom([], ["rtx 4090"], ["g2", 'odd "name", {x}']),
        arrivals: fc.integer({ min: 1, max: 5_000 }),
      });
      const anyBatch = fc.uniqueArray(anyShape, { selector: keyOf, maxLength: 20 });
      await fc.assert(
        fc.asyncProperty(anyBatch, fc.boolean(), async (fresh, isSecond) => {
          const kept = await (isSecond ? under.second : store).addToTaskMix(fresh);
          note(fresh);
          expect(kept.arrivals).toBe(arrived);
          expect(new Map(kept.shapes.map((shape) => [keyOf(shape), shape.arrivals]))).toEqual(
            new Map([...expected].map(([key, arrivals]) => [key, expect.closeTo(arrivals, 4)])),
          );
          const counts = kept.shapes.map(({ arrivals }) => arrivals);
          expect(counts).toEqual(counts.toSorted((a, b) => b - a));
        }),
        { numRuns: 30, endOnFailure: true },
      );
    });

    it("loses nothing when two processes add at the same moment", async () => {
      const before = (await store.addToTaskMix([])).arrivals;
      const shape = shapeOf({ gpuModels: ["at once"], arrivals: 1 });
      const adding = Array.from({ length: 40 }, (_, turn) =>
        (turn % 2 === 0 ? store : under.second).addToTaskMix([shape]),
      );
      await Promise.all(adding);
      const after = await store.addToTaskMix([]);
      expect(after.arrivals).toBe(before + 40);
      // Each decays by those after it.
      const wanted = Array.from({ length: 40 }, (_, later) => 2 ** (-later / HALF_LIFE)).reduce((a, b) => a + b, 0);
      expect(after.shapes.find(({ gpuModels }) => gpuModels[0] === "at once")?.arrivals).toBeCloseTo(wanted, 6);
    });

    it("keeps the most frequent shapes and forgets the rarest", async () => {
      const many = Array.from({ length: 800 }, (_, index) =>
        shapeOf({ cpuMillicores: 100_000 + index, arrivals: index + 1 }),
      );
      for (let start = 0; start < many.length; start += 400) await store.addToTaskMix(many.slice(start, start + 400));
      const { shapes } = await store.addToTaskMix([]);
      expect(shapes).toHaveLength(MOST);
      const cores = new Set(shapes.map(({ cpuMillicores }) => cpuMillicores));
      expect(cores.has(100_799)).toBe(true);
      expect(cores.has(100_000)).toBe(false);
    });
  });
}
