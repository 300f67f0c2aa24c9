/** ReserveCapacity as a question: planned like any request, never kept. What PreviewPlan asks. */
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { machineOf } from "./support/fake-agent.ts";
import { type RegistryUnderTest, reserveOf, startRegistry } from "./support/harness.ts";

let database: TestDatabase;
let at: RegistryUnderTest;

beforeAll(async () => {
  database = await createTestDatabase({ label: "dry_run" });
  at = await startRegistry({ databaseUrl: database.connectionString });
});
afterAll(async () => {
  await at?.stop();
  await database?.drop();
});

it("answers as a real request would, each seeing what the ones before it took, and changes nothing", async () => {
  const agent = await at.join({ sample: machineOf({ cores: 4, memoryGb: 16, vramGb: 0 }) });
  const ids = [randomUUID(), randomUUID(), randomUUID()] as const;
  const reservations = ids.map((id) => reserveOf(id, { cpuCores: 2 }));
  const dry = await at.capacity.reserveCapacity({ reservations, allOrNothing: false, dryRun: true });
  expect(dry.results.map(({ outcome }) => outcome?.$case)).toEqual(["reserved", "reserved", "noRoom"]);
  expect((await at.capacity.getAgentCapacity({ agentId: agent.agentId })).cpuCoresAvailable).toBe(4);
  expect(await database.sql("SELECT 1 FROM registry.reservations")).toEqual([]);
  // The same ids are as new: what the answer said comes true.
  const real = await at.capacity.reserveCapacity({ reservations, allOrNothing: false });
  const where = (results: typeof real.results) =>
    results.map(({ outcome }) => (outcome?.$case === "reserved" ? outcome.value.agentId : outcome?.$case));
  expect(where(real.results)).toEqual(where(dry.results));
  // With room taken, a question says so; it does not disturb what is promised.
  const full = await at.capacity.reserveCapacity({
    reservations: [reserveOf(randomUUID(), { cpuCores: 1 })],
    allOrNothing: false,
    dryRun: true,
  });
  expect(full.results[0]?.outcome?.$case).toBe("noRoom");
  expect(await database.sql("SELECT 1 FROM registry.reservations WHERE state <> 'released'")).toHaveLength(2);
});
