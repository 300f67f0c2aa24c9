/** A registry on a machine whose clock is hours off says when room is expected by the database's clock. */
import { wire } from "@headroom/contracts";
import { systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { machineOf } from "./support/fake-agent.ts";
import { startRegistry } from "./support/harness.ts";

const hourMs = 3_600_000;
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase({ label: "registry_wrong_clock" });
});
afterAll(() => database.drop());

it.each([
  ["fast", 5 * hourMs],
  ["slow", -5 * hourMs],
])("R-CAP-9: a clock that is 5 hours %s changes neither when room is expected, nor in how long", async (_, aheadMs) => {
  const clock = { ...systemPorts.clock, now: () => systemPorts.clock.now() + aheadMs };
  const overrides = { ports: { ...systemPorts, clock } };
  const at = await startRegistry({ databaseUrl: database.connectionString, overrides });
  try {
    const agent = await at.join({ sample: machineOf({ cores: 2, totalCores: 2 }) });
    const needs = wire.ResourceNeeds.fromPartial({ cpuCores: 2 });
    const expectedDuration = { seconds: 600, nanos: 0 };
    await at.capacity.reserveCapacity(
      wire.ReserveCapacityRequest.fromPartial({
        reservations: [{ attemptId: randomUUID(), fence: 1, needs, expectedDuration }],
      }),
    );
    const { expectedAvailableIn, expectedAvailableAt, expectedAgentId } = await at.capacity.explainCapacity(
      wire.ExplainCapacityRequest.fromPartial({ needs }),
    );
    expect(expectedAgentId).toBe(agent.agentId);
    expect(expectedAvailableIn?.seconds).toBeGreaterThan(570);
    expect(expectedAvailableIn?.seconds).toBeLessThan(610);
    const [expected] = await database.sql<{ in_s: number }>(
      "SELECT $1::float8 - extract(epoch FROM now())::float8 AS in_s",
      [expectedAvailableAt?.seconds],
    );
    expect(expected?.in_s).toBeGreaterThan(570);
    expect(expected?.in_s).toBeLessThan(610);
    agent.goodbye();
    await agent.whenClosed();
  } finally {
    await at.stop();
  }
});
