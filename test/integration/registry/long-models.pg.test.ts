/** What is learned of the tasks, while some name more models or labels than a row of an index takes. On real PostgreSQL. */
import type { wire } from "@headroom/contracts";
import { createTestDatabase, SeededRandom, type TestDatabase } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type RegistryUnderTest, reserveOf, startRegistry } from "./support/harness.ts";

let database: TestDatabase;
let at: RegistryUnderTest | null;

const start = async (): Promise<RegistryUnderTest> =>
  (at = await startRegistry({ databaseUrl: database.connectionString }));

beforeEach(async () => {
  at = null;
  database = await createTestDatabase({ label: "long_models" });
});
afterEach(async () => {
  await at?.stop();
  await database.drop();
});

/** Tasks with these needs arrive at a registry that then stops: what it has seen it keeps. */
async function arrive(...needs: readonly Partial<wire.ResourceNeeds>[]): Promise<void> {
  const { capacity } = await start();
  const reservations = needs.map((one) => reserveOf(randomUUID(), one));
  await capacity.reserveCapacity({ reservations, allOrNothing: false });
  await at?.stop();
  at = null;
}

const keptModels = async (): Promise<readonly string[][]> =>
  (await database.sql<{ gpu_models: string[] }>("SELECT gpu_models FROM registry.task_mix ORDER BY gpu_models")).map(
    (row) => row.gpu_models,
  );

const random = new SeededRandom(1);
/** Text that PostgreSQL cannot make shorter: 20,000 different letters of three bytes each. */
const textOf = (length: number): string =>
  Array.from({ length }, () => String.fromCodePoint(random.int(0x4e00, 0x9c1f))).join("");
/** As many as a request may name. */
const MODELS = 32;
/** The longest list that is kept, in letters and the commas between them. */
const KEPT_LENGTH = 512;

describe("needs with very long lists", () => {
  it("models longer than a row of an index teach nothing, and keep nothing else from being learned", async () => {
    const long = Array.from({ length: MODELS }, () => textOf(128));
    await arrive({ cpuCores: 2 }, { gpuCount: 1, gpuModels: long }, { gpuCount: 1, gpuModels: ["RTX 4090"] });
    expect(await keptModels()).toEqual([[], ["rtx 4090"]]);
    // Nor does it keep what comes after it from being learned.
    await arrive({ gpuCount: 1, gpuModels: long });
    await arrive({ cpuCores: 2 });
    const { fleet } = await start();
    const told = await fleet.inspectPlacement({ maxShapes: 10, maxHoles: 0 });
    expect(told).toMatchObject({ arrivals: 3, shapeCount: 2 });
    expect(told.shapes.map(({ share }) => share)).toEqual([expect.closeTo(2 / 3, 3), expect.closeTo(1 / 3, 3)]);
  });

  it("labels, however many, are no part of what is learned: tasks that differ in nothing else count as one kind", async () => {
    const labels = (): Record<string, string> =>
      Object.fromEntries(Array.from({ length: 32 }, (_, index) => [`key-${index}`, textOf(255)]));
    await arrive({ cpuCores: 2, labels: labels() }, { cpuCores: 2, labels: labels() }, { cpuCores: 2 });
    const rows = await database.sql("SELECT cpu_millicores, gpu_models, arrivals FROM registry.task_mix");
    expect(rows).toEqual([{ cpu_millicores: 2_000, gpu_models: [], arrivals: expect.closeTo(3, 3) }]);
  });

  it("the longest list that is kept fits, whatever it is written in; one letter more is forgotten", async () => {
    const commas = MODELS - 1;
    const each = Math.floor((KEPT_LENGTH - commas) / MODELS);
    const fits = Array.from({ length: MODELS }, (_, index) =>
      textOf(index === 0 ? KEPT_LENGTH - commas - each * (MODELS - 1) : each),
    );
    const [first = "", ...others] = fits;
    await arrive({ gpuCount: 1, gpuModels: fits }, { gpuCount: 2, gpuModels: [`${first}x`, ...others] });
    expect(await keptModels()).toEqual([fits.toSorted()]);
  });
});
