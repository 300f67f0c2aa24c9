/** How ReserveCapacity chooses: the registry's own policy, or the one that a request names. */
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { machineOf } from "./support/fake-agent.ts";
import { type RegistryUnderTest, reserveOf, startRegistry } from "./support/harness.ts";

let database: TestDatabase;
let at: RegistryUnderTest;

beforeAll(async () => {
  database = await createTestDatabase({ label: "placement" });
  at = await startRegistry({ databaseUrl: database.connectionString });
});
afterAll(async () => {
  await at?.stop();
  await database?.drop();
});

describe("what is learned of the tasks", () => {
  it("is kept over a restart, from every process, each task once however often it is tried", async () => {
    const kept = await createTestDatabase({ label: "task_mix" });
    const start = () => startRegistry({ databaseUrl: kept.connectionString });
    const registries = [await start(), await start()];
    const mixOf = () =>
      kept.sql<{ gpu_count: number; gpu_models: string[]; arrivals: number }>(
        "SELECT gpu_count, gpu_models, arrivals FROM registry.task_mix ORDER BY gpu_count",
      );
    try {
      for (const [index, { capacity }] of registries.entries()) {
        const taskId = `task-${index}`;
        for (const attemptId of [randomUUID(), randomUUID()]) {
          const reservations = [
            { ...reserveOf(attemptId, { cpuCores: 2, gpuCount: 1, gpuVramGb: 4, gpuModels: ["RTX 4090"] }), taskId },
            { ...reserveOf(randomUUID(), { cpuCores: 1 }), taskId: `${taskId}-other` },
          ];
          await capacity.reserveCapacity({ reservations, allOrNothing: false });
          // A question teaches nothing.
          const asked = [reserveOf(randomUUID(), { cpuCores: 7 })];
          await capacity.reserveCapacity({ reservations: asked, allOrNothing: false, dryRun: true });
          // Nor does a call that is refused as a whole.
          const wrong = capacity.reserveCapacity({ reservations: asked, allOrNothing: false, placementPolicy: "luck" });
          await expect(wrong).rejects.toThrow("luck");
        }
      }
    } finally {
      for (const registry of registries) await registry.stop();
    }
    const learned = [
      { gpu_count: 0, gpu_models: [], arrivals: expect.closeTo(2, 3) },
      { gpu_count: 1, gpu_models: ["rtx 4090"], arrivals: expect.closeTo(2, 3) },
    ];
    expect(await mixOf()).toEqual(learned);
    const again = await start();
    const told = await again.fleet.inspectPlacement({ maxShapes: 1, maxHoles: 0 });
    expect(told).toMatchObject({ policy: "stranded", arrivals: 4, shapeCount: 2, agents: 0 });
    expect(told.shapes).toMatchObject([{ share: expect.closeTo(0.5, 3) }]);
    expect(told.learningSince).toBeDefined();
    const rest = await (await fetch(`${again.restUrl}/api/v1/placement?max_shapes=1`)).json();
    expect(rest).toMatchObject({
      policy: "stranded",
      arrivals: 4,
      shape_count: 2,
      shapes: [{ gpu_count: expect.any(Number) }],
    });
    expect(told.sentences[0]).toBe("Of 100 tasks, 50 take a part of a card, 50 no card.");
    await again.capacity.reserveCapacity({
      reservations: [reserveOf(randomUUID(), { cpuCores: 1 })],
      allOrNothing: false,
    });
    await again.stop();
    expect((await mixOf())[0]).toEqual({ ...learned[0], arrivals: expect.closeTo(3, 3) });
    await kept.drop();
  });
});

describe("the policy that a request names", () => {
  it("decides for this request: the roomiest agent, or the tightest", async () => {
    const roomy = await at.join({ sample: machineOf({ cores: 32, memoryGb: 64, vramGb: 24 }) });
    const tight = await at.join({ sample: machineOf({ cores: 8, memoryGb: 64, vramGb: 8 }) });
    const placed = async (placementPolicy?: string) => {
      const reservations = [reserveOf(randomUUID(), { cpuCores: 1, gpuVramGb: 4 })];
      const policy = placementPolicy === undefined ? {} : { placementPolicy };
      const answer = await at.capacity.reserveCapacity({ reservations, allOrNothing: false, dryRun: true, ...policy });
      const outcome = answer.results[0]?.outcome;
      return outcome?.$case === "reserved" ? outcome.value.agentId : outcome?.$case;
    };
    expect(await placed("most-free-vram")).toBe(roomy.agentId);
    expect(await placed("best-fit")).toBe(tight.agentId);
    expect(await placed("stranded")).toBe(await placed());
  });

  it("is refused by name, and the names there are are told", async () => {
    const reservations = [reserveOf(randomUUID(), { cpuCores: 1 })];
    const call = at.capacity.reserveCapacity({ reservations, allOrNothing: false, placementPolicy: "best-fitt" });
    await expect(call).rejects.toThrow(
      /placement_policy.*no placement policy is called "best-fitt"; one of most-free-vram, best-fit, dot-product, packing, fragmentation, stranded/,
    );
  });
});
