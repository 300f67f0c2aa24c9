/** An agent that tells of ever more attempts which nobody reserved, on real PostgreSQL. */
import { sampleToWire, wire } from "@headroom/contracts";
import { createTestDatabase, type TestDatabase, waitFor } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type FakeAgent, machineOf, useOf } from "./support/fake-agent.ts";
import { type RegistryUnderTest, startRegistry } from "./support/harness.ts";

/** As many as a sample may list. */
const LISTED = 4_096;

let database: TestDatabase;
let at: RegistryUnderTest;

beforeAll(async () => {
  database = await createTestDatabase({ label: "unknown attempts" });
  at = await startRegistry({ databaseUrl: database.connectionString });
});
afterAll(async () => {
  await at?.stop();
  await database?.drop();
});

/** Beats with a list of attempts that nobody has heard of, and waits until it is taken. False: the stream has ended instead. */
async function listUnknown(agent: FakeAgent, seq: number): Promise<boolean> {
  const attemptIds = Array.from({ length: LISTED }, () => randomUUID());
  const attempts = attemptIds.map((attemptId) => useOf(attemptId));
  const sample = sampleToWire(machineOf({ cores: 16 }, attempts));
  agent.send({ $case: "beat", value: wire.Beat.fromPartial({ seq, attached: true, sample }) });
  return waitFor(
    async () => {
      if (agent.closed !== undefined) return { isTaken: false };
      const [found] = await database.sql<{ count: string }>(
        "SELECT count(*) FROM registry.reservations WHERE attempt_id = ANY ($1::uuid[])",
        [attemptIds],
      );
      return Number(found?.count) === LISTED ? { isTaken: true } : null;
    },
    { describe: "the list taken, or the stream ended" },
  ).then(({ isTaken }) => isTaken);
}

it("is sent away with the reason, leaves a bounded number of rows, and comes back to be heard with what is known", async () => {
  const agent = await at.join();
  let taken = 0;
  while (taken < 5 && (await listUnknown(agent, taken + 1))) taken += 1;
  expect(taken).toBe(2);
  const ended = await agent.whenClosed();
  expect(ended).toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    reason: "TOO_MANY_UNKNOWN_ATTEMPTS",
    retryAfterMs: 60_000,
  });
  const { agentId } = agent;
  const rows = await database.sql("SELECT FROM registry.reservations WHERE agent_id = $1", [agentId]);
  expect(rows).toHaveLength(2 * LISTED);
  expect(at.logger.records).toContainEqual(
    expect.objectContaining({ level: "warn", fields: expect.objectContaining({ agent_id: agentId }) }),
  );
  // What it lists next has no more that nobody knows.
  const back = at.agent({ agentId, sample: machineOf({ cores: 16 }) });
  await back.join();
  await waitFor(
    async () => {
      const held = "SELECT FROM registry.reservations WHERE agent_id = $1 AND released_at IS NULL";
      return (await database.sql(held, [agentId])).length === 0;
    },
    { describe: "what it listed before ended" },
  );
  await back.beat();
  expect(back.closed).toBeUndefined();
});
