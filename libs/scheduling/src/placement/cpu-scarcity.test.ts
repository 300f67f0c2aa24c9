import { expect, it } from "vitest";
import { normalizeNeeds } from "../needs.ts";
import { cpuScarcity } from "./cpu-scarcity.ts";
import { fleetFacts } from "./lessons.ts";
import { MachineKinds } from "./machine-kinds.ts";
import { placementShape } from "./shape.ts";

it("CPU is scarce when all tasks together ask for more of it per VRAM than the fleet has", () => {
  const card = { model: "A", totalMib: 1_000, freeMib: 1_000, sharedMemory: false, canBeWhole: true };
  const free = { cpuMillicores: 8_000, memoryMib: 1 };
  const { state } = new MachineKinds().machineOf({
    cpuTotalMillicores: 8_000,
    memoryTotalMib: 1,
    ...free,
    cards: [card],
  });
  const fleet = fleetFacts([{ state, count: 3 }]);
  const ofCards = (cpuMillicores: number) => placementShape(normalizeNeeds({ cpuMillicores, gpuVramMib: 500 }));
  const without = placementShape(normalizeNeeds({ cpuMillicores: 2_000 }));
  // 8 cores per card are there; 4 per card are asked for, then with as many tasks without cards 8.
  expect(cpuScarcity([{ shape: ofCards(2_000), share: 1 }], fleet)).toBe(0);
  const half = { shape: ofCards(2_000), share: 0.5 };
  expect(cpuScarcity([half, { shape: without, share: 0.5 }], fleet)).toBe(1);
  // In between it comes in gradually: 7.4 of 8.
  expect(cpuScarcity([half, { shape: without, share: 0.425 }], fleet)).toBeCloseTo((0.925 - 0.85) / 0.15, 6);
  // Nothing is known yet, or there is nothing.
  expect(cpuScarcity([], fleet)).toBe(0);
  expect(cpuScarcity([half], fleetFacts([]))).toBe(0);
});
