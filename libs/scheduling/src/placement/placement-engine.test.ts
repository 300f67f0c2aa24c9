/** Properties of the placement engine on small fleets made by chance. A failure prints its seed. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { normalizeNeeds } from "../needs.ts";
import { PlacementEngine } from "./engine.ts";
import { MachineKinds } from "./machine-kinds.ts";
import { freeMibOf, type MachineState } from "./machine-state.ts";
import { RULES, type RuleMaker } from "./rules.ts";
import { placementShape, type PlacementShape } from "./shape.ts";
import { TaskMix } from "./task-mix.ts";

const CARD_MIB = 100;

const anyShape = fc
  .record({
    cpu: fc.integer({ min: 0, max: 8 }),
    memory: fc.integer({ min: 0, max: 15 }),
    gpuCount: fc.constantFrom(0, 1, 1, 1, 2, 4),
    vram: fc.integer({ min: 1, max: 10 }),
    gpuExclusive: fc.boolean(),
    model: fc.constantFrom([], [], ["a"], ["b"]),
  })
  .map(({ cpu, memory, gpuCount, vram, gpuExclusive, model }) =>
    placementShape(
      normalizeNeeds({
        cpuMillicores: cpu * 500,
        memoryMib: memory * 100,
        gpuCount,
        gpuVramMib: gpuCount > 0 ? vram * 10 : 0,
        gpuExclusive: gpuCount > 0 && gpuExclusive,
        gpuModels: gpuCount > 0 ? model : [],
      }),
    ),
  );

const anyMachine = fc.record({
  cores: fc.constantFrom(4, 8, 16),
  cards: fc.array(fc.record({ model: fc.constantFrom("A", "B"), sharedMemory: fc.boolean() }), { maxLength: 4 }),
});

const anyCase = fc.record({
  machines: fc.array(anyMachine, { minLength: 1, maxLength: 6 }),
  tasks: fc.array(anyShape, { maxLength: 60 }),
});

type Fleet = ReadonlyMap<string, MachineState>;

function fleetOf(machines: readonly { cores: number; cards: readonly { model: string; sharedMemory: boolean }[] }[]) {
  const kinds = new MachineKinds();
  return new Map(
    machines.map(({ cores, cards }, index) => {
      const facts = {
        cpuTotalMillicores: cores * 1_000,
        memoryTotalMib: 2_000,
        cpuMillicores: cores * 1_000,
        memoryMib: 2_000,
        cards: cards.map((card) => ({ ...card, totalMib: CARD_MIB, freeMib: CARD_MIB, canBeWhole: true })),
      };
      return [`m${index}`, kinds.machineOf(facts).state];
    }),
  );
}

function engineOf(rule: RuleMaker, fleet: Fleet): PlacementEngine {
  const engine = new PlacementEngine(rule);
  for (const [machineId, state] of fleet) engine.put(machineId, state);
  return engine;
}

/** What the engine must answer, by looking at every machine. */
function bestByLooking(engine: PlacementEngine, fleet: Fleet, shape: PlacementShape): string | null {
  let best: string | null = null;
  let bestScore = -Infinity;
  for (const machineId of [...fleet.keys()].sort()) {
    const state = engine.stateOf(machineId);
    const score = state === undefined ? -Infinity : engine.scoreOf(state, shape);
    if (score > bestScore) [best, bestScore] = [machineId, score];
  }
  return best;
}

describe.each([...RULES.values()])("the policy $name", (rule) => {
  it("chooses what a look at every machine would choose, after any changes", () => {
    fc.assert(
      fc.property(anyCase, ({ machines, tasks }) => {
        const fleet = fleetOf(machines);
        const engine = engineOf(rule, fleet);
        tasks.forEach((shape, index) => {
          engine.mix.arrive(shape);
          const expected = bestByLooking(engine, fleet, shape);
          const placed = engine.choose(shape);
          expect(placed?.machineId ?? null).toBe(expected);
          // Among those that somebody accepts: the best of them.
          const accepted = [...fleet.keys()].filter((_, place) => (place + index) % 3 !== 0);
          const some = new Map(accepted.flatMap((id) => (fleet.has(id) ? [[id, fleet.get(id)!] as const] : [])));
          const choice = engine.choose(shape, (machineId) => some.has(machineId));
          expect(choice?.machineId ?? null).toBe(bestByLooking(engine, some, shape));
          if (placed !== null) engine.take(placed, shape);
          // Now and then a machine is empty again.
          const [machineId] = [...fleet.keys()].slice(index % fleet.size);
          const idle = machineId === undefined ? undefined : fleet.get(machineId);
          if (index % 7 === 6 && machineId !== undefined && idle !== undefined) engine.put(machineId, idle);
        });
      }),
    );
  });

  it("never gives away more than is free, and gives the models that were asked for", () => {
    fc.assert(
      fc.property(anyCase, ({ machines, tasks }) => {
        const engine = engineOf(rule, fleetOf(machines));
        for (const shape of tasks) {
          const placed = engine.choose(shape);
          if (placed === null) continue;
          const before = engine.stateOf(placed.machineId);
          if (before === undefined) throw new Error("a machine that nobody put there");
          const { after, positions } = placed;
          expect(after.cpuMillicores).toBe(before.cpuMillicores - shape.cpuMillicores);
          expect(after.cpuMillicores).toBeGreaterThanOrEqual(0);
          expect(after.memoryMib).toBeGreaterThanOrEqual(0);
          const sharesMemory = positions.some((at) => before.kind.cardClasses[at]?.sharedMemory === true);
          if (!sharesMemory) expect(after.memoryMib).toBe(before.memoryMib - shape.memoryMib);
          expect(new Set(positions).size).toBe(shape.gpuCount);
          for (const position of positions) {
            expect(freeMibOf(before.cards[position] ?? 0)).toBeGreaterThanOrEqual(shape.perCardMib);
            const model = before.kind.cardClasses[position]?.model ?? "";
            if (shape.gpuModels.length > 0) expect(shape.gpuModels).toContain(model);
          }
          const free = after.cards.reduce((sum, value) => sum + freeMibOf(value), 0);
          expect(after.vramMib).toBe(free);
          if (!shape.exclusive) expect(before.vramMib - free).toBe(shape.gpuCount * shape.perCardMib);
          engine.take(placed, shape);
        }
      }),
    );
  });
});

describe.each([...RULES.values()])("the policy $name", (rule) => {
  it("places what fits when all that has come so far needs no card", () => {
    const engine = engineOf(rule, fleetOf([{ cores: 4, cards: [{ model: "A", sharedMemory: false }] }]));
    for (const gpuVramMib of [0, 50]) {
      const shape = placementShape(normalizeNeeds({ cpuMillicores: 1_000, gpuVramMib }));
      engine.mix.arrive(shape);
      expect(engine.choose(shape)).not.toBeNull();
    }
  });
});

describe("the task mix", () => {
  const shapes = [4, 1, 2].map((cpu) => placementShape(normalizeNeeds({ cpuMillicores: cpu * 1_000 })));
  const [often = failed(), seldom = failed(), third = failed()] = shapes;
  const sharesOf = (mix: TaskMix) => mix.weights().map(({ shape, share }) => [shape.cpuMillicores, share] as const);

  it("tells shares by arrivals, the most frequent first", () => {
    const mix = new TaskMix();
    for (const shape of [often, seldom, often, often]) mix.arrive(shape);
    expect(sharesOf(mix)).toEqual([
      [4_000, expect.closeTo(0.75, 3)],
      [1_000, expect.closeTo(0.25, 3)],
    ]);
  });

  it("takes shapes together that differ in memory alone", () => {
    const mix = new TaskMix();
    for (const memoryMib of [1, 2]) mix.arrive(placementShape(normalizeNeeds({ memoryMib, gpuVramMib: 10 })));
    expect(mix.weights().map(({ share }) => share)).toEqual([1]);
  });

  it("counts half after a half-life", () => {
    const mix = new TaskMix();
    mix.arrive(seldom);
    for (let arrival = 0; arrival < 20_000; arrival += 1) mix.arrive(often);
    expect(mix.counts().find(({ shape }) => shape === seldom)?.count).toBeCloseTo(0.5, 6);
  });

  it("hands out what is fresh once, takes back what could not be kept, and adds what is fresh to what others kept", () => {
    const mix = new TaskMix();
    for (const shape of [often, seldom, often]) mix.arrive(shape);
    const fresh = mix.takeFresh();
    expect(fresh.arrivals).toBe(3);
    expect(mix.takeFresh().counts).toEqual([]);
    mix.giveBack(fresh);
    mix.arrive(third);
    const all = mix.takeFresh();
    expect(all.arrivals).toBe(4);
    mix.arrive(third);
    // Kept by another process: ten of one, besides ours.
    mix.adopt([...all.counts, { shape: often, count: 10 }]);
    expect(mix.counts().map(({ shape, count }) => [shape.cpuMillicores, count])).toEqual([
      [4_000, expect.closeTo(12, 9)],
      [2_000, expect.closeTo(2, 9)],
      [1_000, expect.closeTo(1, 9)],
    ]);
    expect(mix.effectiveCount).toBeCloseTo(15, 9);
    expect(mix.takeFresh().counts).toEqual([{ shape: third, count: 1 }]);
  });

  it("never keeps more shapes than it may, whatever arrives or is adopted", () => {
    const mix = new TaskMix();
    const many = Array.from({ length: 2_000 }, (_, cpu) => placementShape(normalizeNeeds({ cpuMillicores: cpu })));
    for (const shape of many) mix.arrive(shape);
    expect(mix.counts().length).toBeLessThanOrEqual(512);
    mix.adopt(many.map((shape) => ({ shape, count: 1 })));
    expect(mix.counts().length).toBeLessThanOrEqual(512);
    expect(mix.takeFresh().counts.length).toBeLessThanOrEqual(512);
  });
});

function failed(): never {
  throw new Error("there is no such policy");
}
