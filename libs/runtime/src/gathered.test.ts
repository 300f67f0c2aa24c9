import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Gathered } from "./gathered.ts";

function gathered(most: number, largest: number): { readonly passed: number[][]; readonly all: Gathered<number> } {
  const passed: number[][] = [];
  const all = new Gathered<number>({
    most,
    largest,
    sizeOf: (item) => item,
    pass: (items) => void passed.push([...items]),
  });
  return { passed, all };
}

describe("Gathered", () => {
  it("what promises settled together add goes together", async () => {
    const { passed, all } = gathered(10, 100);
    const settled = Promise.resolve();
    for (const item of [1, 2, 3]) void settled.then(async () => all.add(await Promise.resolve(item)));
    await settled;
    expect(passed).toEqual([]);
    for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    expect(passed).toEqual([[1, 2, 3]]);
  });

  it("passes everything on once and in order, within its bounds", async () => {
    const step = fc.oneof(fc.integer({ min: 0, max: 12 }), fc.constantFrom("flush" as const, "turn" as const));
    await fc.assert(
      fc.asyncProperty(
        fc.array(step),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 20 }),
        async (steps, most, largest) => {
          const { passed, all } = gathered(most, largest);
          for (const each of steps) {
            if (each === "flush") all.flush();
            else if (each === "turn") await Promise.resolve();
            else all.add(each);
          }
          all.flush();
          await Promise.resolve();
          expect(passed.flat()).toEqual(steps.filter((each) => typeof each === "number"));
          for (const items of passed) {
            expect(items.length).toBeGreaterThan(0);
            expect(items.length).toBeLessThanOrEqual(most);
            const size = items.reduce((sum, item) => sum + item, 0);
            expect(items.length === 1 || size <= largest).toBe(true);
          }
        },
      ),
    );
  });
});
