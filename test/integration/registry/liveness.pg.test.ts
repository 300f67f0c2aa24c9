/** What happens to agents that flap, sleep, are copied, are cut off, or are emptied (DESIGN 4), on two registry processes. */
import { wire } from "@headroom/contracts";
import { createChannel } from "@headroom/rpc";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, startCable, type TestDatabase, waitFor } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FakeAgent, machineOf, useOf } from "./support/fake-agent.ts";
import { type RegistryUnderTest, reserveOf, startRegistry } from "./support/harness.ts";

const { AGENT_STATUS_ONLINE, AGENT_STATUS_SUSPECT, AGENT_STATUS_OFFLINE } = wire.AgentStatus;

describe("liveness rules", () => {
  let database: TestDatabase;
  let one: RegistryUnderTest;
  let two: RegistryUnderTest;

  beforeAll(async () => {
    database = await createTestDatabase({ label: "liveness rules" });
    // These agents do not beat; on a loaded machine they must not be suspect before the test is over.
    const env = { HEADROOM_HEARTBEAT_INTERVAL_SECONDS: "60" };
    one = await startRegistry({ databaseUrl: database.connectionString, env });
    two = await startRegistry({ databaseUrl: database.connectionString, env });
  });
  afterAll(async () => {
    await one?.stop();
    await two?.stop();
    await database?.drop();
  });

  const show = async (at: RegistryUnderTest, agentId: string): Promise<wire.Agent> =>
    (await at.fleet.getAgent({ agentId })).agent!;
  const isOffered = async (at: RegistryUnderTest, agentId: string): Promise<boolean> => {
    const request = wire.ListAvailableCapacityRequest.fromPartial({ pageSize: 1000 });
    return (await at.capacity.listAvailableCapacity(request)).agents.some((row) => row.agentId === agentId);
  };

  async function flap(agentId: string, incarnation: string): Promise<void> {
    const agent = await one.join({ agentId, incarnation });
    agent.drop();
    await agent.whenClosed();
    await one.untilStatus(agentId, AGENT_STATUS_SUSPECT);
  }

  it("DESIGN-4: an agent that flaps is on probation everywhere: online, visible as such, and not offered", async () => {
    const [agentId, incarnation] = [randomUUID(), randomUUID()];
    for (let flaps = 0; flaps < 3; flaps += 1) await flap(agentId, incarnation);
    const tolerated = await one.join({ agentId, incarnation });
    expect(await show(one, agentId)).toMatchObject({ recentFlaps: 3, probationUntil: undefined });
    expect(await isOffered(one, agentId)).toBe(true);
    tolerated.drop();
    await tolerated.whenClosed();
    await one.untilStatus(agentId, AGENT_STATUS_SUSPECT);
    await one.join({ agentId, incarnation });
    for (const at of [one, two]) {
      await waitFor(async () => (await show(at, agentId)).status === AGENT_STATUS_ONLINE);
      await waitFor(async () => (await show(at, agentId)).probationUntil !== undefined);
      expect(await show(at, agentId)).toMatchObject({ recentFlaps: 4, capacity: { onProbation: true } });
      expect(await isOffered(at, agentId)).toBe(false);
    }
    const { results } = await two.capacity.reserveCapacity({
      reservations: [reserveOf(randomUUID(), { agentId })],
      allOrNothing: false,
    });
    const [refused] = results;
    if (refused?.outcome?.$case !== "noRoom") throw new Error("room was promised on an agent on probation");
    const codes = refused.outcome.value.agents.flatMap(({ misses }) => misses.map(({ code }) => code));
    expect(codes).toContain(wire.MissCode.MISS_CODE_ON_PROBATION);
    await waitFor(async () => {
      const [row] = await database.sql<{ flaps: number }>(
        "SELECT flaps FROM registry.agent_liveness WHERE agent_id = $1 AND probation_until > now()",
        [agentId],
      );
      return row?.flaps === 4;
    });
  });

  it("DESIGN-4: sleep is announced: OFFLINE with that reason, and what runs keeps its room until it is back", async () => {
    const attemptId = randomUUID();
    const sample = machineOf({ cores: 16 }, [useOf(attemptId)]);
    const options = { agentId: randomUUID(), incarnation: randomUUID(), sample };
    const agent = await one.join(options);
    await waitFor(async () => (await show(one, options.agentId)).attemptIds.includes(attemptId));
    agent.goodbye(wire.GoodbyeReason.GOODBYE_REASON_SLEEP);
    await agent.whenClosed();
    expect(await show(one, options.agentId)).toMatchObject({
      status: AGENT_STATUS_OFFLINE,
      statusReason: "goodbye: sleep",
      attemptIds: [attemptId],
      recentFlaps: 0,
    });
    await one.join(options);
    expect(await show(one, options.agentId)).toMatchObject({ status: AGENT_STATUS_ONLINE, attemptIds: [attemptId] });
  });

  it("DESIGN-4: a clone at another process is refused while the first beats, and let in when it is gone", async () => {
    const agentId = randomUUID();
    const first = await one.join({ agentId });
    const clone = two.agent({ agentId });
    clone.hello();
    expect(await clone.whenClosed()).toMatchObject({ code: "ALREADY_EXISTS", reason: "AGENT_CLONED" });
    await first.beat();
    expect(first.closed).toBeUndefined();
    first.drop();
    await first.whenClosed();
    // It is in doubt for the other process as soon as the database says so.
    await waitFor(async () => {
      const [row] = await database.sql<{ status: string }>(
        "SELECT status FROM registry.agent_liveness WHERE agent_id = $1",
        [agentId],
      );
      return row?.status === "suspect";
    });
    await two.join({ agentId });
    expect(await two.statusOf(agentId)).toBe(AGENT_STATUS_ONLINE);
  });

  it("DESIGN-4: a cable that is pulled: SUSPECT after the TTL, the dead stream is ended, another one is taken", async () => {
    // Of its own: its grace is so short that it would give up the agents of the others before it has seen that they live.
    const hastyDatabase = await createTestDatabase({ label: "pulled cable" });
    const hasty = await startRegistry({
      databaseUrl: hastyDatabase.connectionString,
      env: { HEADROOM_HEARTBEAT_INTERVAL_SECONDS: "0.5", HEADROOM_OFFLINE_GRACE_SECONDS: "1" },
    });
    const cable = await startCable(hasty.registry.grpcAddress!);
    const { token } = hasty;
    const channel = createChannel({ address: cable.address, token, ports: systemPorts, logger: silentLogger });
    const options = { agentId: randomUUID(), incarnation: randomUUID() };
    const cutOff = new FakeAgent(channel, options);
    await cutOff.join();
    await cutOff.beat();
    cable.pull();
    await hasty.untilStatus(options.agentId, AGENT_STATUS_SUSPECT);
    await hasty.untilStatus(options.agentId, AGENT_STATUS_OFFLINE);
    await waitFor(async () =>
      (await (await fetch(`${hasty.restUrl}/metrics`)).text()).includes("headroom_heartbeat_streams 0"),
    );
    const back = await hasty.join(options);
    expect(await hasty.statusOf(options.agentId)).toBe(AGENT_STATUS_ONLINE);
    back.goodbye();
    await back.whenClosed();
    channel.close();
    await cable.close();
    await hasty.stop();
    await hastyDatabase.drop();
  });

  it("DESIGN-4: beats without news write nothing", async () => {
    const agents = await Promise.all(Array.from({ length: 10 }, () => one.join()));
    const versions = () =>
      database.sql(
        `SELECT l.agent_id, l.xmin::text AS liveness, s.xmin::text AS sample, g.xmin::text AS guard
           FROM registry.agent_liveness l JOIN registry.agent_samples s USING (agent_id)
           JOIN registry.agent_guards g USING (agent_id)
          WHERE l.agent_id = ANY ($1::uuid[]) ORDER BY agent_id`,
        [agents.map(({ agentId }) => agentId)],
      );
    // The write of the first samples, then two rounds of the writer, seen by what another agent's news does.
    await waitFor(async () => (await versions()).length === 10);
    const before = await versions();
    const noisy = await one.join();
    for (const cores of [1, 2, 3]) {
      for (const agent of agents) await agent.beat();
      await noisy.beat({ sample: machineOf({ cores }) });
      await waitFor(async () => {
        const [row] = await database.sql<{ cores: number }>(
          "SELECT cpu_available_millicores::int / 1000 AS cores FROM registry.agent_samples WHERE agent_id = $1",
          [noisy.agentId],
        );
        return row?.cores === cores;
      });
    }
    expect(await versions()).toEqual(before);
  });

  it("a drain: no new work, what outlasts the deadline is named, and it ends when nothing has room there", async () => {
    const attemptId = randomUUID();
    const agent = await one.join({ hostname: "drained", sample: machineOf({ cores: 16 }, [useOf(attemptId)]) });
    const { agentId } = agent;
    await waitFor(async () => (await show(one, agentId)).attemptIds.includes(attemptId));
    const drained = await one.fleet.drainAgent({ agentId, deadline: { seconds: 1, nanos: 0 }, reason: "disk" });
    expect(drained.agent).toMatchObject({ cordoned: true, draining: true, cordonReason: "disk" });
    expect(drained.agent!.capacity).toMatchObject({ draining: true });
    expect(drained.agent!.capacity!.drainDeadline).toBeDefined();
    expect(await isOffered(one, agentId)).toBe(false);
    const request = { reservations: [reserveOf(randomUUID(), { agentId })], allOrNothing: false };
    for (const at of [one, two]) {
      expect((await at.capacity.reserveCapacity(request)).results[0]!.outcome!.$case).toBe("noRoom");
    }
    for (const at of [one, two]) {
      await waitFor(async () => (await show(at, agentId)).capacity!.evictAttemptIds.includes(attemptId));
    }
    // The agent is told with each beat, at the process that holds its stream.
    const busy = machineOf({ cores: 16 }, [useOf(attemptId)]);
    expect((await agent.beat({ sample: busy })).evictAttemptIds).toEqual([attemptId]);
    expect((await agent.beat({})).evictAttemptIds).toEqual([attemptId]);
    await one.capacity.releaseCapacity({ attempts: [{ attemptId, fence: 1 }], reason: "test" });
    expect((await agent.beat({ sample: machineOf({ cores: 16 }) })).evictAttemptIds).toEqual([]);
    for (const at of [one, two]) {
      await waitFor(async () => !(await show(at, agentId)).draining, { describe: "the end of the drain" });
      const after = await show(at, agentId);
      expect(after).toMatchObject({ cordoned: true, cordonReason: "disk (drained)" });
      expect(after.capacity).toMatchObject({ evictAttemptIds: [], drainDeadline: undefined });
    }
    expect((await one.fleet.uncordonAgent({ agentId })).agent).toMatchObject({ cordoned: false, cordonReason: "" });
    expect(await isOffered(one, agentId)).toBe(true);
  });

  it("V13: a drain with a deadline ends though room that is kept there is renewed all the time", async () => {
    const { agentId } = await one.join();
    const attempt = { attemptId: randomUUID(), fence: 1 };
    const kept = reserveOf(attempt.attemptId, { agentId }, { kind: wire.ReservationKind.RESERVATION_KIND_HOLD });
    const { results } = await one.capacity.reserveCapacity({ reservations: [kept], allOrNothing: false });
    expect(results[0]!.outcome!.$case).toBe("reserved");
    await one.fleet.drainAgent({ agentId, deadline: { seconds: 1, nanos: 0 }, reason: "" });
    const renew = () => two.capacity.renewReservations({ attempts: [attempt] });
    expect((await renew()).results[0]!.outcome).toBe(wire.RenewOutcome.RENEW_OUTCOME_RENEWED);
    await waitFor(async () => {
      await renew();
      return !(await show(one, agentId)).draining;
    });
    expect((await renew()).results[0]!.outcome).toBe(wire.RenewOutcome.RENEW_OUTCOME_NOT_FOUND);
    expect(await show(one, agentId)).toMatchObject({ cordoned: true, cordonReason: "drained", attemptIds: [] });
  });

  it("an uncordon ends a drain; an unknown agent is NOT_FOUND", async () => {
    const { agentId } = await one.join({ sample: machineOf({ cores: 1 }, [useOf(randomUUID())]) });
    await one.fleet.drainAgent({ agentId, deadline: undefined, reason: "" });
    expect((await one.fleet.uncordonAgent({ agentId })).agent).toMatchObject({ cordoned: false, draining: false });
    const unknown = one.fleet.drainAgent({ agentId: randomUUID(), deadline: undefined, reason: "" });
    await expect(unknown).rejects.toMatchObject({ code: "NOT_FOUND", reason: "AGENT_NOT_FOUND" });
  });

  it("a confirmation of losses without a brake changes nothing", async () => {
    const { agentId } = await one.join();
    expect(await two.fleet.confirmLosses({})).toEqual({ agentsHeld: 0 });
    expect(await one.statusOf(agentId)).toBe(AGENT_STATUS_ONLINE);
  });
});

describe("the mass-loss brake", () => {
  let database: TestDatabase;
  let running: RegistryUnderTest[] = [];

  beforeAll(async () => {
    database = await createTestDatabase({ label: "mass loss" });
  });
  afterAll(async () => {
    for (const at of running) await at.stop();
    await database?.drop();
  });

  it("DESIGN-4: keeps many lost agents SUSPECT, tells it, and an operator's word at another process ends it", async () => {
    const env = { HEADROOM_HEARTBEAT_INTERVAL_SECONDS: "0.5", HEADROOM_OFFLINE_GRACE_SECONDS: "8" };
    const at = await startRegistry({ databaseUrl: database.connectionString, env });
    const other = await startRegistry({ databaseUrl: database.connectionString, env });
    running = [at, other];
    // More than pass one by one while this is looked at.
    const agents = await Promise.all(Array.from({ length: 40 }, () => at.join()));
    const held = async (): Promise<number> => {
      const metrics = await (await fetch(`${at.restUrl}/metrics`)).text();
      return Number(/^headroom_mass_loss_held_agents (\d+)$/m.exec(metrics)?.[1] ?? 0);
    };
    const offline = async (): Promise<number> => {
      const statuses = [AGENT_STATUS_OFFLINE];
      return (await at.fleet.listAgents(wire.ListAgentsRequest.fromPartial({ statuses }))).totalSize;
    };
    await waitFor(async () => (await held()) > 20);
    expect(at.logger.has("very many agents would go offline", "error")).toBe(true);
    expect(await offline()).toBeLessThan(agents.length / 2);
    await other.fleet.confirmLosses({});
    await waitFor(async () => (await offline()) === agents.length && (await held()) === 0);
  });
});
