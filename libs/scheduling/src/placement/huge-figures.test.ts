/** An agent may say up to 2^50 of anything: what is free is then told as exactly as of any other. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { normalizeNeeds, type PartialNeeds } from "../needs.ts";
import { PlacementEngine } from "./engine.ts";
import { MachineKinds } from "./machine-kinds.ts";
import { canBeWhole, cardValue, freeMibOf, type MachineState } from "./machine-state.ts";
import { RULES } from "./rules.ts";
import { placementShape } from "./shape.ts";

const MOST = 2 ** 50;

describe("the value of a card", () => {
  it.each([0, 1, 24_576, 2 ** 30 - 1, 2 ** 30, 2 ** 31, 25_769_803_776, MOST - 1, MOST])(
    "of %d MiB reads as it was",
    (mib) => {
      for (const isWhole of [true, false]) {
        const value = cardValue(mib, isWhole);
        expect([freeMibOf(value), canBeWhole(value)]).toEqual([mib, isWhole]);
      }
    },
  );

  it("reads as it was, and orders by VRAM", () => {
    fc.assert(
      fc.property(fc.nat(MOST), fc.nat(MOST), fc.boolean(), fc.boolean(), (a, b, aWhole, bWhole) => {
        const [left, right] = [cardValue(a, aWhole), cardValue(b, bWhole)];
        expect([freeMibOf(left), canBeWhole(left)]).toEqual([a, aWhole]);
        if (a !== b) expect(left < right).toBe(a < b);
      }),
    );
  });
});

/** Two cards, half of that each, and as much CPU and memory. */
function machineOf(figure: number): MachineState {
  const cards = [0, 1].map(() => {
    return { model: "a", totalMib: figure / 2, freeMib: figure / 2, sharedMemory: false, canBeWhole: true };
  });
  const [cpu, memory] = [
    { cpuTotalMillicores: figure, cpuMillicores: figure },
    { memoryTotalMib: figure, memoryMib: figure },
  ];
  return new MachineKinds().machineOf({ ...cpu, ...memory, cards }).state;
}

describe.each([...RULES.values()])("the policy $name", (rule) => {
  it.each([2 ** 31, 25_769_803_776, MOST])("takes from a machine of %d what a task asks for, and no more", (figure) => {
    const engine = new PlacementEngine(rule);
    engine.put("m", machineOf(figure));
    const left = { cpu: figure, memory: figure, cards: [figure / 2, figure / 2] };
    const take = (asked: PartialNeeds): MachineState => {
      const shape = placementShape(normalizeNeeds({ memoryMib: 3, ...asked }));
      engine.mix.arrive(shape);
      const placed = engine.choose(shape);
      expect(placed).not.toBeNull();
      engine.take(placed!, shape);
      left.cpu -= shape.cpuMillicores;
      left.memory -= 3;
      return placed!.after;
    };
    for (let round = 0; round < 60; round += 1) {
      take({});
      const after = take({ gpuVramMib: 1_001, gpuCount: 2 });
      left.cards = left.cards.map((mib) => mib - 1_001);
      expect(after.cards.map(freeMibOf)).toEqual(left.cards);
    }
    const after = take({ gpuVramMib: 1_001 });
    expect(after.cards.map(freeMibOf)).toEqual([left.cards[0]! - 1_001, left.cards[1]]);
    expect(after).toMatchObject({ cpuMillicores: left.cpu, memoryMib: left.memory });
    expect(after.vramMib).toBe(left.cards[0]! - 1_001 + left.cards[1]!);
  });
});
