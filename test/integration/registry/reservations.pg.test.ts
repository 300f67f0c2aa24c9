/** Reservations (DESIGN 3) over gRPC on real PostgreSQL: what is asked for together and apart, and what is promised under which fence. */
import { wire } from "@headroom/contracts";
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { cardOf, type FakeAgent, machineOf } from "./support/fake-agent.ts";
import { type RegistryUnderTest, reserveOf, startRegistry } from "./support/harness.ts";
import { free, reservationCalls, reserved } from "./support/reservations.ts";

const { RESERVATION_STATE_UNCONFIRMED } = wire.ReservationState;

describe("reservations", () => {
  let database: TestDatabase;
  let at: RegistryUnderTest;
  let agent: FakeAgent;
  /** Each test has a pool of its own. */
  let pool: string;
  const { reserveAll, reserve, release, renew, freeCores, stateInDatabase } = reservationCalls(() => ({
    database,
    at,
    agent,
    pool,
  }));

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

  it("DESIGN-3: a thousand are promised by one request and one transaction, over many machines, and none beyond their room", async () => {
    const more = await Promise.all(
      Array.from({ length: 9 }, () => at.join({ poolName: pool, sample: machineOf(free) })),
    );
    const asked = Array.from({ length: 1_000 }, () => randomUUID());
    const outcomes = await reserveAll(asked.map((attemptId) => reserveOf(attemptId, { cpuCores: 0.16 })));
    expect(new Set(outcomes.map(({ $case }) => $case))).toEqual(new Set(["reserved"]));
    const rows = await database.sql<{ agent_id: string; attempts: number; cpu: number; transactions: number }>(
      `SELECT agent_id, count(*)::int AS attempts, sum(cpu_millicores)::int AS cpu,
              (SELECT count(DISTINCT xmin::text)::int FROM registry.reservations WHERE attempt_id = ANY($1)) AS transactions
         FROM registry.reservations WHERE attempt_id = ANY($1) GROUP BY agent_id`,
      [asked],
    );
    expect(rows.map(({ agent_id }) => agent_id).toSorted()).toEqual(
      [agent, ...more].map(({ agentId }) => agentId).toSorted(),
    );
    expect(rows.reduce((sum, { attempts }) => sum + attempts, 0)).toBe(1_000);
    for (const { cpu, transactions } of rows)
      expect({ transactions, fits: cpu <= 16_000 }).toEqual({ transactions: 1, fits: true });
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
