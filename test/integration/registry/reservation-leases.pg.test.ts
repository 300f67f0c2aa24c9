/** How reservations (DESIGN 3) go on, over gRPC on real PostgreSQL: confirmation by samples, leases, holds. */
import { wire } from "@headroom/contracts";
import { createTestDatabase, type TestDatabase, waitFor } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type FakeAgent, machineOf, useOf } from "./support/fake-agent.ts";
import { type RegistryUnderTest, startRegistry } from "./support/harness.ts";
import { free, reservationCalls, reserved } from "./support/reservations.ts";

const { RESERVATION_STATE_UNCONFIRMED, RESERVATION_STATE_CONFIRMED } = wire.ReservationState;

describe("how reservations go on", () => {
  let database: TestDatabase;
  let at: RegistryUnderTest;
  let agent: FakeAgent;
  /** Each test has a pool of its own. */
  let pool: string;
  const { reserve, release, renew, freeCores, stateInDatabase } = reservationCalls(() => ({
    database,
    at,
    agent,
    pool,
  }));

  beforeAll(async () => {
    database = await createTestDatabase({ label: "reservation_leases" });
    at = await startRegistry({ databaseUrl: database.connectionString });
  });
  beforeEach(async () => {
    pool = randomUUID().slice(0, 8);
    agent = await at.join({ poolName: pool, sample: machineOf(free) });
  });
  afterAll(async () => {
    await at?.stop();
    await database?.drop();
  });

  it("a sample that lists the attempt confirms it, counts its use once, and ends its lease", async () => {
    const attemptId = randomUUID();
    await reserve(attemptId, { cpuCores: 4 });
    await agent.beat({ sample: machineOf({ ...free, cores: 13 }, [useOf(attemptId, 1, 3_000)]) });
    await waitFor(async () => (await stateInDatabase(attemptId)) === "confirmed");
    expect(reserved(await reserve(attemptId, { cpuCores: 4 })).state).toBe(RESERVATION_STATE_CONFIRMED);
    expect(await freeCores()).toBe(12);
    expect((await renew(attemptId)).leaseLeft).toBeUndefined();
  });

  it("an attempt without a promise is adopted, and its room is not free for a moment", async () => {
    const attemptId = randomUUID();
    await agent.beat({ sample: machineOf({ ...free, cores: 6 }, [useOf(attemptId, 4, 10_000)]) });
    expect(await freeCores()).toBe(6);
    await waitFor(async () => (await stateInDatabase(attemptId)) === "adopted");
    expect(await freeCores()).toBe(6);
  });

  it("a confirmed attempt missing from a later sample is released, in the database at once", async () => {
    const attemptId = randomUUID();
    await reserve(attemptId, { cpuCores: 4 });
    await agent.beat({ sample: machineOf(free, [useOf(attemptId)]) });
    await waitFor(async () => (await stateInDatabase(attemptId)) === "confirmed");
    await agent.beat({ sample: machineOf(free) });
    await waitFor(async () => (await stateInDatabase(attemptId)) === "released");
    await waitFor(async () => (await freeCores()) === 16);
  });

  it("I6: a list that may be older than the release brings nothing back; the agent is asked, and what it answers counts", async () => {
    const [ended, alive] = [randomUUID(), randomUUID()];
    for (const attemptId of [ended, alive]) await reserve(attemptId, { cpuCores: 4 });
    const both = machineOf(free, [useOf(ended), useOf(alive)]);
    const { seq: ackedSeq } = await agent.beat({ sample: both, ackedSeq: 0 });
    await waitFor(async () => (await stateInDatabase(alive)) === "confirmed");
    for (const attemptId of [ended, alive]) await release(attemptId);
    await waitFor(async () => (await freeCores()) === 16);
    // Sent before the release, for all that the registry can know.
    await agent.beat({ sample: both, ackedSeq });
    const asking = await waitFor(async () => {
      const ack = await agent.beat({ ackedSeq });
      return ack.wantFull ? ack : null;
    });
    expect([await stateInDatabase(ended), await stateInDatabase(alive)]).toEqual(["released", "released"]);
    expect(await freeCores()).toBe(16);
    // Made after the question was heard: one of them really runs.
    await agent.beat({ sample: machineOf(free, [useOf(alive)]), ackedSeq: asking.seq });
    await waitFor(async () => (await stateInDatabase(alive)) === "adopted");
    expect(await stateInDatabase(ended)).toBe("released");
    await waitFor(async () => !(await agent.beat({ ackedSeq: asking.seq })).wantFull);
    // Nothing that comes later is older than that answer.
    await release(alive);
    await agent.beat({ sample: machineOf(free), ackedSeq: asking.seq });
    expect((await agent.beat({ ackedSeq: asking.seq })).wantFull).toBe(false);
  });

  it("an unconfirmed promise is not released by a sample that does not list it yet", async () => {
    const attemptId = randomUUID();
    await reserve(attemptId, { cpuCores: 4 });
    const other = randomUUID();
    await agent.beat({ sample: machineOf(free, [useOf(other)]) });
    await waitFor(async () => (await stateInDatabase(other)) === "adopted");
    expect(await stateInDatabase(attemptId)).toBe("unconfirmed");
    expect(await freeCores()).toBe(12);
  });

  it("a confirmed promise survives SUSPECT; a Hello that omits it releases it", async () => {
    const [gone, kept] = [randomUUID(), randomUUID()];
    await reserve(gone, { cpuCores: 4 });
    await reserve(kept, { cpuCores: 2 });
    await agent.beat({ sample: machineOf(free, [useOf(gone), useOf(kept)]) });
    await waitFor(async () => (await stateInDatabase(kept)) === "confirmed");
    agent.drop();
    await agent.whenClosed();
    await at.untilStatus(agent.agentId, wire.AgentStatus.AGENT_STATUS_SUSPECT);
    expect(await stateInDatabase(gone)).toBe("confirmed");
    const { agentId } = agent;
    agent = await at.join({ agentId, poolName: pool, sample: machineOf(free, [useOf(kept)]) });
    await waitFor(async () => (await stateInDatabase(gone)) === "released");
    expect(await stateInDatabase(kept)).toBe("confirmed");
    await waitFor(async () => (await freeCores()) === 14);
  });

  it("a promise whose attempt never came ends by its lease, by the database's clock", async () => {
    const attemptId = randomUUID();
    await reserve(attemptId, { cpuCores: 4 });
    await database.sql("UPDATE registry.reservations SET lease_expires_at = now() WHERE attempt_id = $1", [attemptId]);
    // Memory learns of the early end only from the store, so it is told there is something to look for.
    await database.sql("UPDATE registry.agent_guards SET version = version + 1 WHERE agent_id = $1", [agent.agentId]);
    await reserve(randomUUID(), { cpuCores: 1 });
    await waitFor(async () => (await stateInDatabase(attemptId)) === "released");
    await waitFor(async () => (await freeCores()) === 15);
    expect(at.logger.has("the lease of a reservation ran out", "warn")).toBe(true);
  });

  it("renewing extends the lease and never shortens it", async () => {
    const attemptId = randomUUID();
    await reserve(attemptId);
    await database.sql(
      `UPDATE registry.reservations SET lease_expires_at = now() + interval '5 seconds' WHERE attempt_id = $1`,
      [attemptId],
    );
    const renewed = await renew(attemptId);
    expect(renewed.outcome).toBe(wire.RenewOutcome.RENEW_OUTCOME_RENEWED);
    expect(renewed.leaseLeft!.seconds).toBeGreaterThanOrEqual(28);
    const [row] = await database.sql<{ left: number }>(
      `SELECT extract(epoch FROM lease_expires_at - now())::int AS left FROM registry.reservations WHERE attempt_id = $1`,
      [attemptId],
    );
    expect(row!.left).toBeGreaterThanOrEqual(28);
  });

  const hold = { kind: wire.ReservationKind.RESERVATION_KIND_HOLD };

  it("DESIGN-3: a hold keeps room from others, is listed, and becomes the attempt's in one step", async () => {
    const attemptId = randomUUID();
    const kept = reserved(await reserve(attemptId, { cpuCores: 16 }, hold));
    expect(kept).toMatchObject({ state: wire.ReservationState.RESERVATION_STATE_HOLD, agentId: agent.agentId });
    expect(kept.leaseLeft!.seconds).toBeGreaterThanOrEqual(28);
    expect(await freeCores()).toBe(0);
    expect(await stateInDatabase(attemptId)).toBe("hold");
    expect((await at.fleet.getAgent({ agentId: agent.agentId })).agent!.attemptIds).toEqual([attemptId]);
    expect((await reserve(randomUUID(), { cpuCores: 1 })).$case).toBe("noRoom");
    expect((await renew(attemptId)).outcome).toBe(wire.RenewOutcome.RENEW_OUTCOME_RENEWED);
    const used = reserved(await reserve(attemptId, { cpuCores: 16 }, { fence: 2 }));
    expect(used).toMatchObject({ state: RESERVATION_STATE_UNCONFIRMED, agentId: agent.agentId, fence: 2 });
    expect(await freeCores()).toBe(0);
    expect(await reserve(attemptId, { cpuCores: 15 }, { fence: 2 })).toMatchObject({ $case: "conflict" });
    expect(await release(attemptId, 2)).toBe(wire.ReleaseOutcome.RELEASE_OUTCOME_RELEASED);
    expect(await freeCores()).toBe(16);
  });

  it("V14: a hold on an agent that takes no work now is not the attempt's: it moves to another agent, in one step", async () => {
    const attemptId = randomUUID();
    const kept = reserved(await reserve(attemptId, { cpuCores: 16 }, hold));
    await at.fleet.cordonAgent({ agentId: agent.agentId, reason: "" });
    expect((await reserve(attemptId, { cpuCores: 16 }, { fence: 2 })).$case).toBe("noRoom");
    expect(await stateInDatabase(attemptId)).toBe("hold");
    const other = await at.join({ poolName: pool, sample: machineOf(free) });
    const used = reserved(await reserve(attemptId, { cpuCores: 16 }, { fence: 2 }));
    expect(used).toMatchObject({ state: RESERVATION_STATE_UNCONFIRMED, agentId: other.agentId, fence: 2 });
    expect(used.reservedAt!.seconds).toBeGreaterThanOrEqual(kept.reservedAt!.seconds);
    expect(await freeCores()).toBe(16);
    const rows = await database.sql<{ agent_id: string; state: string }>(
      "SELECT agent_id, state FROM registry.reservations WHERE attempt_id = $1",
      [attemptId],
    );
    expect(rows).toEqual([{ agent_id: other.agentId, state: "unconfirmed" }]);
    // What was lost on its way is answered again, whatever the agent is now.
    await at.fleet.cordonAgent({ agentId: other.agentId, reason: "" });
    const again = await reserve(attemptId, { cpuCores: 16 }, { fence: 2, avoidAgentIds: [other.agentId] });
    expect(reserved(again).agentId).toBe(other.agentId);
  });

  it("DESIGN-3: a hold that nobody renews ends by itself; one that is released is back at once", async () => {
    const [left, given] = [randomUUID(), randomUUID()];
    await reserve(left, { cpuCores: 4 }, hold);
    await reserve(given, { cpuCores: 2 }, hold);
    expect(await release(given)).toBe(wire.ReleaseOutcome.RELEASE_OUTCOME_RELEASED);
    expect(await freeCores()).toBe(12);
    await database.sql("UPDATE registry.reservations SET lease_expires_at = now() WHERE attempt_id = $1", [left]);
    await database.sql("UPDATE registry.agent_guards SET version = version + 1 WHERE agent_id = $1", [agent.agentId]);
    await reserve(randomUUID(), { cpuCores: 1 });
    await waitFor(async () => (await stateInDatabase(left)) === "released");
    await waitFor(async () => (await freeCores()) === 15);
  });
});
