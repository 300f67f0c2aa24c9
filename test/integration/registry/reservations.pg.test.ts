/** Reservations (DESIGN 3) over gRPC on real PostgreSQL: fences, leases, confirmation by samples. */
import { wire } from "@headroom/contracts";
import { createTestDatabase, type TestDatabase, waitFor } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { cardOf, type FakeAgent, machineOf, useOf } from "./support/fake-agent.ts";
import { type RegistryUnderTest, reserveOf, startRegistry } from "./support/harness.ts";

const { RESERVATION_STATE_UNCONFIRMED, RESERVATION_STATE_CONFIRMED } = wire.ReservationState;

type Outcome = NonNullable<wire.ReserveResult["outcome"]>;

describe("reservations", () => {
  let database: TestDatabase;
  let at: RegistryUnderTest;
  let agent: FakeAgent;
  /** Each test has a pool of its own. */
  let pool: string;
  const free = { cores: 16, memoryGb: 64, vramGb: 24 };

  beforeAll(async () => {
    database = await createTestDatabase({ label: "reservations" });
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

  async function reserveAll(reservations: readonly wire.Reserve[], allOrNothing = false): Promise<Outcome[]> {
    const inPool = reservations.map((reserve) => ({ ...reserve, needs: { ...reserve.needs!, pool } }));
    const answer = await at.capacity.reserveCapacity({ reservations: inPool, allOrNothing });
    expect(answer.results.map(({ attemptId }) => attemptId)).toEqual(reservations.map(({ attemptId }) => attemptId));
    expect(answer.revision!.counter).toBeGreaterThan(0);
    return answer.results.map(({ outcome }) => outcome!);
  }
  async function reserve(
    attemptId: string,
    needs: Partial<wire.ResourceNeeds> = {},
    overrides: Partial<wire.Reserve> = {},
  ): Promise<Outcome> {
    return (await reserveAll([reserveOf(attemptId, needs, overrides)]))[0]!;
  }
  function reserved(outcome: Outcome): wire.Reservation {
    if (outcome.$case !== "reserved") throw new Error(`not reserved: ${JSON.stringify(outcome)}`);
    return outcome.value;
  }
  async function release(attemptId: string, fence = 1): Promise<wire.ReleaseOutcome> {
    return (await at.capacity.releaseCapacity({ attempts: [{ attemptId, fence }], reason: "test" })).results[0]!
      .outcome;
  }
  async function renew(attemptId: string, fence = 1): Promise<wire.RenewResult> {
    return (await at.capacity.renewReservations({ attempts: [{ attemptId, fence }] })).results[0]!;
  }
  const freeCores = async (): Promise<number> =>
    (await at.capacity.getAgentCapacity({ agentId: agent.agentId })).cpuCoresAvailable;
  async function stateInDatabase(attemptId: string): Promise<string | undefined> {
    const [row] = await database.sql<{ state: string }>(
      "SELECT state FROM registry.reservations WHERE attempt_id = $1",
      [attemptId],
    );
    return row?.state;
  }

  it("promises room, takes it off at once, and says for how long", async () => {
    const attemptId = randomUUID();
    const reservation = reserved(await reserve(attemptId, { cpuCores: 2, memoryGb: 1, gpuVramGb: 8 }));
    expect(reservation).toMatchObject({
      attemptId,
      agentId: agent.agentId,
      fence: 1,
      state: RESERVATION_STATE_UNCONFIRMED,
      amounts: { cpuCores: 2, memoryGb: 1, cards: [{ cardId: "gpu-0", vramGb: 8, exclusive: false }] },
    });
    const { seconds } = reservation.leaseLeft!;
    expect(seconds).toBeGreaterThanOrEqual(28);
    expect(seconds).toBeLessThanOrEqual(30);
    expect(await freeCores()).toBe(14);
    expect(await stateInDatabase(attemptId)).toBe("unconfirmed");
  });

  it("the same attempt with the same needs has the same promise, and takes no more room", async () => {
    const attemptId = randomUUID();
    const first = reserved(await reserve(attemptId, { cpuCores: 2 }));
    const again = reserved(await reserve(attemptId, { cpuCores: 2 }));
    expect(again).toMatchObject({ agentId: first.agentId, amounts: first.amounts, reservedAt: first.reservedAt });
    expect(await freeCores()).toBe(14);
  });

  it("a higher fence raises it, a lower one is stale and changes nothing", async () => {
    const attemptId = randomUUID();
    await reserve(attemptId, {}, { fence: 3 });
    expect(reserved(await reserve(attemptId, {}, { fence: 5 })).fence).toBe(5);
    expect(await reserve(attemptId, {}, { fence: 4 })).toEqual({ $case: "staleFence", value: { currentFence: 5 } });
    expect((await renew(attemptId, 4)).outcome).toBe(wire.RenewOutcome.RENEW_OUTCOME_STALE_FENCE);
    expect(await release(attemptId, 4)).toBe(wire.ReleaseOutcome.RELEASE_OUTCOME_STALE_FENCE);
    expect(await freeCores()).toBe(15);
    expect(await release(attemptId, 5)).toBe(wire.ReleaseOutcome.RELEASE_OUTCOME_RELEASED);
    expect(await freeCores()).toBe(16);
  });

  it("the same attempt with other needs is a conflict", async () => {
    const attemptId = randomUUID();
    await reserve(attemptId, { cpuCores: 2 });
    const other = await reserve(attemptId, { cpuCores: 3 });
    expect(other).toMatchObject({ $case: "conflict", value: { released: false } });
    expect(await freeCores()).toBe(14);
  });

  it("released room is back in the very next answer; releasing twice is fine; a late copy gets nothing", async () => {
    const attemptId = randomUUID();
    await reserve(attemptId, { cpuCores: 16 });
    expect(await freeCores()).toBe(0);
    expect(await release(attemptId)).toBe(wire.ReleaseOutcome.RELEASE_OUTCOME_RELEASED);
    expect(await freeCores()).toBe(16);
    expect(await release(attemptId)).toBe(wire.ReleaseOutcome.RELEASE_OUTCOME_RELEASED);
    expect(await reserve(attemptId, { cpuCores: 16 })).toMatchObject({ $case: "conflict", value: { released: true } });
    expect((await renew(attemptId)).outcome).toBe(wire.RenewOutcome.RENEW_OUTCOME_NOT_FOUND);
    // A new claim of the same attempt may begin anew.
    expect(reserved(await reserve(attemptId, { cpuCores: 16 }, { fence: 2 })).fence).toBe(2);
    expect(await freeCores()).toBe(0);
  });

  it("an unknown attempt cannot be renewed or released", async () => {
    expect((await renew(randomUUID())).outcome).toBe(wire.RenewOutcome.RENEW_OUTCOME_NOT_FOUND);
    expect(await release(randomUUID())).toBe(wire.ReleaseOutcome.RELEASE_OUTCOME_NOT_FOUND);
  });

  it("no room is an answer with its reason, by the predicate that explains", async () => {
    const outcome = await reserve(randomUUID(), { cpuCores: 1, gpuVramGb: 30 });
    if (outcome.$case !== "noRoom") throw new Error("there was room");
    expect(outcome.value.verdict).toBe(wire.FleetVerdict.FLEET_VERDICT_NEVER);
    const mine = outcome.value.agents.find(({ agentId }) => agentId === agent.agentId)!;
    expect(mine.misses.map(({ code }) => code)).toContain(wire.MissCode.MISS_CODE_NOT_ENOUGH_VRAM);
    const { explanation } = await at.capacity.explainCapacity(
      wire.ExplainCapacityRequest.fromPartial({ needs: { cpuCores: 1, gpuVramGb: 30, pool } }),
    );
    expect(explanation!.verdict).toBe(outcome.value.verdict);
    expect(explanation!.sentence).toBe(outcome.value.sentence);
  });

  it("a batch never promises the same room twice, and the first asked come first", async () => {
    const ids = Array.from({ length: 6 }, () => randomUUID());
    const outcomes = await reserveAll(ids.map((attemptId) => reserveOf(attemptId, { cpuCores: 4 })));
    expect(outcomes.map(({ $case }) => $case)).toEqual([...Array(4).fill("reserved"), "noRoom", "noRoom"]);
    expect(await freeCores()).toBe(0);
  });

  it("all or nothing: one that does not fit keeps all from being promised", async () => {
    const ids = Array.from({ length: 5 }, () => randomUUID());
    const asked = ids.map((attemptId) => reserveOf(attemptId, { cpuCores: 4 }));
    expect((await reserveAll(asked, true)).map(({ $case }) => $case)).toEqual(Array(5).fill("noRoom"));
    expect(await freeCores()).toBe(16);
    expect((await reserveAll(asked.slice(1), true)).map(({ $case }) => $case)).toEqual(Array(4).fill("reserved"));
    expect(await freeCores()).toBe(0);
  });

  it("agents to avoid, cordoned, held and unattached ones get nothing", async () => {
    const attemptId = randomUUID();
    const avoided = await reserve(attemptId, {}, { avoidAgentIds: [agent.agentId] });
    expect(avoided.$case).toBe("noRoom");
    await agent.beat({ attached: false });
    expect((await reserve(attemptId)).$case).toBe("noRoom");
    await agent.beat({ ownerHold: true });
    expect((await reserve(attemptId)).$case).toBe("noRoom");
    await agent.beat();
    await at.fleet.cordonAgent({ agentId: agent.agentId, reason: "" });
    expect((await reserve(attemptId)).$case).toBe("noRoom");
    await at.fleet.uncordonAgent({ agentId: agent.agentId });
    expect((await reserve(attemptId)).$case).toBe("reserved");
  });

  it("a whole card is given to one attempt only", async () => {
    const [whole, part] = [randomUUID(), randomUUID()];
    expect(reserved(await reserve(whole, { gpuCount: 1 })).amounts!.cards[0]).toMatchObject({ exclusive: true });
    expect((await reserve(part, { gpuVramGb: 1 })).$case).toBe("noRoom");
    await release(whole);
    expect((await reserve(part, { gpuVramGb: 1 })).$case).toBe("reserved");
    expect((await reserve(randomUUID(), { gpuCount: 1 })).$case).toBe("noRoom");
  });

  it("VRAM per card must be on one card, and the cards of a task are different ones", async () => {
    const cards = [0, 1].map((index) => cardOf({ cardId: `gpu-${index}`, index }));
    await agent.beat({ sample: { ...machineOf(free), cards } });
    const two = reserved(await reserve(randomUUID(), { gpuCount: 2, gpuVramGb: 20 }));
    expect(two.amounts!.cards.map(({ cardId }) => cardId).sort()).toEqual(["gpu-0", "gpu-1"]);
    expect((await reserve(randomUUID(), { gpuVramGb: 8 })).$case).toBe("noRoom");
    expect((await reserve(randomUUID(), { gpuVramGb: 4 })).$case).toBe("reserved");
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

  it("DESIGN-3: groups of one request are promised whole or not at all, each for itself", async () => {
    const asked = (group: string, cpuCores: number): wire.Reserve => reserveOf(randomUUID(), { cpuCores }, { group });
    const large = [asked("large", 8), asked("large", 12)];
    const small = [asked("small", 4), asked("small", 4)];
    const alone = asked("", 8);
    const outcomes = await reserveAll([large[0]!, small[0]!, alone, large[1]!, small[1]!]);
    expect(outcomes.map(({ $case }) => $case)).toEqual(["noRoom", "reserved", "reserved", "noRoom", "reserved"]);
    expect(await freeCores()).toBe(0);
    // A member that can never be promised again keeps the others of its group from anything.
    await release(small[0]!.attemptId);
    await release(alone.attemptId);
    const spoiled = await reserveAll([{ ...small[0]!, group: "again" }, asked("again", 1)]);
    expect(spoiled).toMatchObject([{ $case: "conflict", value: { released: true } }, { $case: "noRoom" }]);
    expect(await freeCores()).toBe(12);
  });

  it("the same attempt twice in one request is refused", async () => {
    const attemptId = randomUUID();
    const twice = reserveAll([reserveOf(attemptId), reserveOf(attemptId)]);
    await expect(twice).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  });

  it("ids that PostgreSQL cannot write, and durations beyond belief, are refused and harm nobody else", async () => {
    const odd = reserve(randomUUID(), { gpuModels: ["4090"] }, { taskId: "t\0" });
    await expect(odd).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      fieldViolations: [expect.objectContaining({ field: "reservations[0].task_id" })],
    });
    expect((await reserve(randomUUID())).$case).toBe("reserved");
    const endless = reserve(randomUUID(), {}, { expectedDuration: { seconds: 315_576_000_000, nanos: 0 } });
    await expect(endless).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      fieldViolations: [expect.objectContaining({ field: "reservations[0].expected_duration" })],
    });
  });

  it("an attempt whose agent was removed can be reserved again", async () => {
    const attemptId = randomUUID();
    await reserve(attemptId);
    agent.goodbye();
    await agent.whenClosed();
    await at.fleet.removeAgent({ agentId: agent.agentId });
    agent = await at.join({ poolName: pool, sample: machineOf(free) });
    expect(reserved(await reserve(attemptId, {}, { fence: 2 })).agentId).toBe(agent.agentId);
  });

  it("logs carry agent, attempt, task and plan", async () => {
    const attemptId = randomUUID();
    await reserve(attemptId, {}, { taskId: "task-77", planId: "plan-77" });
    expect(at.logger.records).toContainEqual(
      expect.objectContaining({
        fields: expect.objectContaining({
          attempt_id: attemptId,
          agent_id: agent.agentId,
          task_id: "task-77",
          plan_id: "plan-77",
        }),
      }),
    );
  });
});
