/** Whatever is lost between the registry and its database, before or after a change: nothing is promised twice, nothing stays lost. */
import { wire } from "@headroom/contracts";
import { createDatabase, migrate } from "@headroom/postgres";
import { createPostgresStore, REGISTRY_SCHEMA, registryMigrations, type RegistryStore } from "@headroom/registry";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase, waitFor } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { machineOf, useOf } from "./support/fake-agent.ts";
import { type FaultyStore, faultyStore, type Loss } from "./support/faulty-store.ts";
import { type RegistryUnderTest, reserveOf, startRegistry } from "./support/harness.ts";

const LOSSES: readonly Loss[] = ["before", "after"];

async function openStore({ connectionString }: TestDatabase): Promise<RegistryStore> {
  const shared = {
    connection: connectionString,
    schema: REGISTRY_SCHEMA,
    logger: silentLogger,
    ports: systemPorts,
  };
  await migrate({ ...shared, migrations: registryMigrations });
  return createPostgresStore(createDatabase({ ...shared, applicationName: "test" }));
}

describe("crash points", () => {
  let database: TestDatabase;
  let faulty: FaultyStore;
  let at: RegistryUnderTest;

  beforeAll(async () => {
    database = await createTestDatabase({ label: "crash points" });
    faulty = faultyStore(await openStore(database));
    at = await startRegistry({ databaseUrl: database.connectionString, overrides: { store: faulty.store } });
  });
  afterAll(async () => {
    await at?.stop();
    await database?.drop();
  });

  const live = async (agentId: string): Promise<string[]> => {
    const rows = await database.sql<{ attempt_id: string }>(
      "SELECT attempt_id FROM registry.reservations WHERE agent_id = $1 AND state <> 'released'",
      [agentId],
    );
    return rows.map((row) => row.attempt_id);
  };
  const freeCores = async (agentId: string): Promise<number> =>
    (await at.capacity.getAgentCapacity({ agentId })).cpuCoresAvailable;

  it.each(LOSSES)("a reservation lost %s its commit is asked again and promised once", async (loss) => {
    const { agentId } = await at.join();
    const attemptId = randomUUID();
    const request = { reservations: [reserveOf(attemptId, { cpuCores: 10, agentId })], allOrNothing: false };
    faulty.lose("commitReservations", loss);
    // The client library asks idempotent calls again by itself, so the caller sees a promise at once.
    const answer = await at.capacity.reserveCapacity(request).catch(() => at.capacity.reserveCapacity(request));
    expect(answer.results[0]!.outcome!.$case).toBe("reserved");
    expect(faulty.isSpent).toBe(true);
    expect(await live(agentId)).toEqual([attemptId]);
    expect(await freeCores(agentId)).toBe(6);
    const other = { reservations: [reserveOf(randomUUID(), { cpuCores: 10, agentId })], allOrNothing: false };
    expect((await at.capacity.reserveCapacity(other)).results[0]!.outcome!.$case).toBe("noRoom");
  });

  it("an attempt that ended while its adoption was being written holds no room afterwards", async () => {
    const agent = await at.join();
    const attemptId = randomUUID();
    const adoption = faulty.hold("commitReservations");
    await agent.beat({ sample: machineOf({ cores: 16 }, [useOf(attemptId)]) });
    await adoption.come;
    // Compared with reservations that know nothing of the attempt yet, this list says nothing new.
    await agent.beat({ sample: machineOf({ cores: 16 }) });
    adoption.letGo();
    const state = async (): Promise<string | undefined> =>
      (
        await database.sql<{ state: string }>("SELECT state FROM registry.reservations WHERE attempt_id = $1", [
          attemptId,
        ])
      )[0]?.state;
    await waitFor(async () => (await state()) === "released");
    await waitFor(async () => (await freeCores(agent.agentId)) === 16);
  });

  it("a reservation whose answer was lost takes its room from others, and comes back by its lease", async () => {
    const { agentId } = await at.join();
    const attemptId = randomUUID();
    faulty.lose("commitReservations", "after");
    const request = { reservations: [reserveOf(attemptId, { cpuCores: 10, agentId })], allOrNothing: false };
    // A deadline so that the caller gives up, like one that has died.
    await at.capacity.reserveCapacity(request, { deadlineMs: 1_000 }).catch(() => undefined);
    const other = { reservations: [reserveOf(randomUUID(), { cpuCores: 10, agentId })], allOrNothing: false };
    expect((await at.capacity.reserveCapacity(other)).results[0]!.outcome!.$case).toBe("noRoom");
    expect(await live(agentId)).toEqual([attemptId]);
  });

  it.each(LOSSES)("a release lost %s its commit is made up for by asking again", async (loss) => {
    const { agentId } = await at.join();
    const attemptId = randomUUID();
    const request = { reservations: [reserveOf(attemptId, { cpuCores: 10, agentId })], allOrNothing: false };
    await at.capacity.reserveCapacity(request);
    faulty.lose("commitReservations", loss);
    const release = () => at.capacity.releaseCapacity({ attempts: [{ attemptId, fence: 1 }], reason: "test" });
    const answer = await release().catch(release);
    expect(answer.results[0]!.outcome).toBe(wire.ReleaseOutcome.RELEASE_OUTCOME_RELEASED);
    expect(await live(agentId)).toEqual([]);
    expect(await freeCores(agentId)).toBe(16);
  });

  it.each(LOSSES)("an adoption lost %s its commit is made up for without another sample", async (loss) => {
    const agent = await at.join();
    const attemptId = randomUUID();
    faulty.lose("commitReservations", loss);
    await agent.beat({ sample: machineOf({ cores: 6 }, [useOf(attemptId, 1, 10_000)]) });
    expect(await freeCores(agent.agentId)).toBe(6);
    await waitFor(async () => (await live(agent.agentId)).includes(attemptId));
    await waitFor(() => faulty.isSpent);
    expect(await freeCores(agent.agentId)).toBe(6);
  });

  it.each(LOSSES)("an end by omission lost %s its commit is made up for without another sample", async (loss) => {
    const agent = await at.join();
    const attemptId = randomUUID();
    await agent.beat({ sample: machineOf({ cores: 6 }, [useOf(attemptId, 1, 10_000)]) });
    await waitFor(async () => (await live(agent.agentId)).includes(attemptId));
    faulty.lose("commitReservations", loss);
    await agent.beat({ sample: machineOf({ cores: 16 }) });
    await waitFor(async () => (await live(agent.agentId)).length === 0);
    await waitFor(async () => (await freeCores(agent.agentId)) === 16);
  });

  it.each(LOSSES)("a Hello lost %s its commit is refused, and the next one is let in", async (loss) => {
    const agentId = randomUUID();
    faulty.lose("admit", loss);
    const unlucky = at.agent({ agentId });
    unlucky.hello();
    expect(await unlucky.whenClosed()).toMatchObject({ code: "UNAVAILABLE" });
    const agent = await at.join({ agentId });
    expect((await agent.welcome()).epoch).toBe(loss === "after" ? 2 : 1);
    expect(await at.statusOf(agentId)).toBe(wire.AgentStatus.AGENT_STATUS_ONLINE);
  });

  it.each(LOSSES)("samples and states lost %s their commit are written by the next try", async (loss) => {
    const agent = await at.join();
    faulty.lose("writeBeats", loss);
    faulty.lose("writeStatuses", loss);
    await agent.beat({ sample: machineOf({ cores: 7 }), ownerHold: true });
    await waitFor(async () => {
      const [row] = await database.sql<{ cores: number; owner_hold: boolean }>(
        `SELECT cpu_available_millicores::int / 1000 AS cores, owner_hold
           FROM registry.agent_samples JOIN registry.agent_liveness USING (agent_id) WHERE agent_id = $1`,
        [agent.agentId],
      );
      return row?.cores === 7 && row.owner_hold && faulty.isSpent;
    });
  });

  it.each(LOSSES)("a cordon lost %s its commit is refused, and asking again cordons", async (loss) => {
    const { agentId } = await at.join();
    faulty.lose("setCordon", loss);
    const cordon = () => at.fleet.cordonAgent({ agentId, reason: "disk" });
    const { agent } = await cordon().catch(cordon);
    expect(agent!.cordoned).toBe(true);
  });

  it.each(LOSSES)("the end of a drain lost %s its commit is told all the same", async (loss) => {
    const { agentId } = await at.join();
    faulty.lose("endDrains", loss);
    await at.fleet.drainAgent({ agentId, deadline: undefined, reason: "disk" });
    await waitFor(async () => !(await at.fleet.getAgent({ agentId })).agent!.draining);
    expect(faulty.isSpent).toBe(true);
    const { agent } = await at.fleet.getAgent({ agentId });
    expect(agent).toMatchObject({ cordoned: true, cordonReason: "disk (drained)" });
  });

  it.each(LOSSES)("a removal lost %s its commit is made by asking again", async (loss) => {
    const agent = await at.join();
    const { agentId } = agent;
    agent.goodbye();
    await agent.whenClosed();
    faulty.lose("removeAgent", loss);
    // The client library may have asked again by itself.
    const remove = () => at.fleet.removeAgent({ agentId });
    await remove().catch(remove);
    expect(faulty.isSpent).toBe(true);
    await expect(at.fleet.getAgent({ agentId })).rejects.toMatchObject({ reason: "AGENT_NOT_FOUND" });
  });

  it("an agent whose last Hello was committed, and not answered, can be removed", async () => {
    // Of its own: its agents are given up within seconds.
    const other = await createTestDatabase({ label: "lost hello" });
    const lossy = faultyStore(await openStore(other));
    const hasty = await startRegistry({
      databaseUrl: other.connectionString,
      env: { HEADROOM_HEARTBEAT_INTERVAL_SECONDS: "0.5", HEADROOM_OFFLINE_GRACE_SECONDS: "1" },
      overrides: { store: lossy.store },
    });
    const known = await hasty.join();
    known.goodbye();
    await known.whenClosed();
    for (const agentId of [known.agentId, randomUUID()]) {
      lossy.lose("admit", "after");
      const unlucky = hasty.agent({ agentId });
      unlucky.hello();
      expect(await unlucky.whenClosed()).toMatchObject({ code: "UNAVAILABLE" });
      await expect(hasty.fleet.removeAgent({ agentId })).rejects.toMatchObject({ reason: "AGENT_NOT_OFFLINE" });
      await hasty.untilStatus(agentId, wire.AgentStatus.AGENT_STATUS_OFFLINE);
      await hasty.fleet.removeAgent({ agentId });
      await expect(hasty.fleet.getAgent({ agentId })).rejects.toMatchObject({ reason: "AGENT_NOT_FOUND" });
    }
    await hasty.stop();
    await other.drop();
  });

  it("V14: what was read of an agent before its cordon and comes after it brings no work there", async () => {
    const { agentId } = await at.join();
    await database.sql("UPDATE registry.agent_guards SET version = version + 1 WHERE agent_id = $1", [agentId]);
    // Its commit meets a conflict, and the agent is read again.
    const reading = faulty.hold("loadAgents", "after");
    const reserving = at.capacity.reserveCapacity({
      reservations: [reserveOf(randomUUID(), { agentId })],
      allOrNothing: false,
    });
    await reading.come;
    await at.fleet.cordonAgent({ agentId, reason: "disk" });
    reading.letGo();
    expect((await reserving).results[0]!.outcome!.$case).toBe("noRoom");
    expect((await at.fleet.getAgent({ agentId })).agent).toMatchObject({ cordoned: true, cordonReason: "disk" });
    expect(await live(agentId)).toEqual([]);
  });

  it("V14: of cordons and drains at the same time the one that was committed last is known, in whatever order the answers come", async () => {
    const { agentId } = await at.join();
    const cordoning = faulty.hold("setCordon", "after");
    const cordoned = at.fleet.cordonAgent({ agentId, reason: "first" });
    await cordoning.come;
    await at.fleet.drainAgent({ agentId, deadline: undefined, reason: "second" });
    await at.fleet.uncordonAgent({ agentId });
    cordoning.letGo();
    await cordoned;
    expect((await at.fleet.getAgent({ agentId })).agent).toMatchObject({ cordoned: false, draining: false });
  });

  it("a registry that dies without a word: another one doubts its agents when its lease ends, and takes them", async () => {
    const dying: RegistryStore = { ...(await openStore(database)), retireReplica: () => Promise.resolve() };
    const one = await startRegistry({ databaseUrl: database.connectionString, overrides: { store: dying } });
    const agent = await one.join();
    const { agentId } = agent;
    await at.untilStatus(agentId, wire.AgentStatus.AGENT_STATUS_ONLINE);
    const attemptId = randomUUID();
    await one.capacity.reserveCapacity({ reservations: [reserveOf(attemptId, { agentId })], allOrNothing: false });
    await one.stop();
    await at.untilStatus(agentId, wire.AgentStatus.AGENT_STATUS_SUSPECT);
    expect(await live(agentId)).toEqual([attemptId]);
    // What nobody living holds stays doubted, whatever the store calls it, also when its reservations are loaded again.
    await database.sql("UPDATE registry.agent_guards SET version = version + 1 WHERE agent_id = $1", [agentId]);
    await at.capacity.releaseCapacity({ attempts: [{ attemptId, fence: 1 }], reason: "test" });
    expect(await at.statusOf(agentId)).toBe(wire.AgentStatus.AGENT_STATUS_SUSPECT);
    await at.join({ agentId });
    expect(await at.statusOf(agentId)).toBe(wire.AgentStatus.AGENT_STATUS_ONLINE);
  });
});
