import { describe, expect, it } from "vitest";
import { normalizeNeeds, type PartialNeeds } from "../needs.ts";
import { RULES } from "./rules.ts";
import { CardHistory } from "./card-history.ts";
import { PlacementEngine } from "./engine.ts";
import { insightOf, insightSentences } from "./insight.ts";
import { MachineKinds } from "./machine-kinds.ts";
import { placementShape } from "./shape.ts";
import { sampled } from "./lessons.ts";
import { StateSlots } from "./state-slots.ts";
import { TaskMix } from "./task-mix.ts";

const GIB = 1_024;
const experience = { mix: new TaskMix(), history: new CardHistory() };

function fleetOf(models: readonly string[]): StateSlots {
  const kinds = new MachineKinds();
  const slots = new StateSlots();
  models.forEach((model, index) => {
    const card = { model, totalMib: 24 * GIB, freeMib: 24 * GIB, sharedMemory: false, canBeWhole: true };
    const amounts = { cpuTotalMillicores: 64_000, memoryTotalMib: 1_000_000 };
    const free = { cpuMillicores: 64_000, memoryMib: 1_000_000 };
    slots.put(`m${index}`, kinds.machineOf({ ...amounts, ...free, cards: [card, card] }).state);
  });
  return slots;
}

describe("what has been learned", () => {
  it("is nothing at first, and says so", () => {
    expect(insightSentences(insightOf(experience, sampled(fleetOf(["A"]))))).toEqual([
      "No task has asked for room yet: until some have, machines are spared that few others can stand in for.",
    ]);
  });

  it("tells classes, CPU per VRAM, scarce models, and rests that nothing fills", () => {
    const slots = fleetOf(["A", "B", "B", "B"]);
    const rule = RULES.get("stranded");
    if (rule === undefined) throw new Error("there is no default");
    const engine = new PlacementEngine(rule, experience, slots);
    const tasks: readonly PartialNeeds[] = [
      { cpuMillicores: 5_000, gpuVramMib: 20 * GIB, gpuModels: ["A"] },
      { cpuMillicores: 5_000, gpuVramMib: 20 * GIB },
      { cpuMillicores: 6_000, gpuCount: 2, gpuVramMib: 24 * GIB },
      { cpuMillicores: 1_000 },
    ];
    for (let round = 0; round < 1_000; round += 1) {
      for (const task of tasks) {
        const shape = placementShape(normalizeNeeds(task));
        engine.mix.arrive(shape);
        const placed = engine.choose(shape);
        if (placed !== null && round < 2) engine.take(placed, shape);
      }
    }
    const insight = insightOf(experience, sampled(slots));
    expect(insight.shares).toEqual({
      part: expect.closeTo(0.5, 2),
      whole: 0,
      several: expect.closeTo(0.25, 2),
      none: expect.closeTo(0.25, 2),
    });
    // 5 + 5 + 6 cores for 20 + 20 + 48 GiB.
    expect(insight.cpuPerVram * GIB).toBeCloseTo(16_000 / 88, -1);
    expect(insight.models).toEqual([
      {
        model: "a",
        totalMib: 24 * GIB,
        supplyShare: 0.25,
        demandShare: expect.closeTo(20 / 88, 2),
        price: expect.closeTo(0.91, 1),
      },
    ]);
    const rests = insight.holes.filter(({ fromMib, toMib }) => fromMib <= 4 * GIB && 4 * GIB < toMib);
    expect(rests).toHaveLength(1);
    expect(rests[0]?.cards).toBeGreaterThan(0);
    expect(rests[0]?.filledPerThousand).toBe(0);
    const [classes, cpu, rest] = insightSentences(insight);
    expect(classes).toBe("Of 100 tasks, 50 take a part of a card, 25 several cards, 25 no card.");
    expect(cpu).toMatch(/^Tasks with cards ask for 0.18 cores per GiB of VRAM/);
    expect(rest).toMatch(/cards of 24 GiB have 3.9 to 4.1 GiB free, and hardly a task comes to them/);
  });
});
