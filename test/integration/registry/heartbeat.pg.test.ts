/** Heartbeats and liveness (DESIGN 4), over real streams. */
import { wire } from "@headroom/contracts";
import { createChannel } from "@headroom/rpc";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, type TestDatabase, waitFor } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cardOf, FakeAgent, machineOf } from "./support/fake-agent.ts";
import { type RegistryUnderTest, startRegistry } from "./support/harness.ts";

const { AGENT_STATUS_ONLINE, AGENT_STATUS_SUSPECT, AGENT_STATUS_OFFLINE } = wire.AgentStatus;

describe("heartbeat", () => {
  let database: TestDatabase;
  let at: RegistryUnderTest;
  /** Intervals so short that silence shows soon. */
  let hasty: RegistryUnderTest;
  let hastyDatabase: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase({ label: "heartbeat" });
    hastyDatabase = await createTestDatabase({ label: "heartbeat hasty" });
    at = await startRegistry({ databaseUrl: database.connectionString });
    hasty = await startRegistry({
      databaseUrl: hastyDatabase.connectionString,
      env: { HEADROOM_HEARTBEAT_INTERVAL_SECONDS: "0.4", HEADROOM_OFFLINE_GRACE_SECONDS: "0.5" },
    });
  });
  afterAll(async () => {
    await at?.stop();
    await hasty?.stop();
    await database?.drop();
    await hastyDatabase?.drop();
  });

  it("answers a Hello with an epoch, the interval and the TTL, and a Beat with an Ack", async () => {
    const agent = at.agent();
    expect(await agent.join()).toMatchObject({ epoch: 1, interval: { seconds: 5 }, ttl: { seconds: 15 } });
    const ack = await agent.beat();
    expect(ack.seq).toBe(1);
    const nextMs = ack.nextInterval!.seconds * 1000 + ack.nextInterval!.nanos / 1e6;
    expect(nextMs).toBeGreaterThanOrEqual(4_500);
    expect(nextMs).toBeLessThanOrEqual(5_500);
  });

  it("registers the agent with all that its Hello says", async () => {
    const agent = await at.join({ hostname: "desk-7", poolName: "render", labels: { site: "north" } });
    const { agent: shown } = await at.fleet.getAgent({ agentId: agent.agentId });
    expect(shown).toMatchObject({
      hostname: "desk-7",
      poolName: "render",
      labels: { site: "north" },
      status: AGENT_STATUS_ONLINE,
      version: "0.1.0",
      platform: "linux x64",
      cordoned: false,
    });
    expect(shown!.firstSeenAt).toBeDefined();
    expect(shown!.lastBeatAt).toBeDefined();
  });

  it("a first message that is no Hello fails the stream", async () => {
    const agent = at.agent();
    agent.send({ $case: "beat", value: wire.Beat.fromPartial({ seq: 1 }) });
    expect(await agent.whenClosed()).toMatchObject({ code: "FAILED_PRECONDITION", reason: "HELLO_EXPECTED" });
  });

  it("a sample that makes no sense fails the stream and names the field", async () => {
    const sample = { ...machineOf({ cores: 1 }), cards: [cardOf(), cardOf()] };
    const agent = at.agent({ sample });
    agent.hello();
    const error = await agent.whenClosed();
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(error!.fieldViolations[0]!.field).toContain("cards[1].card_id");
  });

  it("a sample of no possible time fails the stream and names the field", async () => {
    const agent = at.agent({ sample: { ...machineOf({ cores: 1 }), sampledAtMs: 8e15 } });
    agent.hello();
    const error = await agent.whenClosed();
    expect(error!.fieldViolations[0]!.field).toBe("hello.sample.sampled_at");
  });

  it("names that PostgreSQL cannot write are refused, and keep no other agent from joining or being written", async () => {
    const cards = [cardOf({ cardId: "c\0", model: "m" })];
    const odd = [{ hostname: "a\0b" }, { labels: { k: "v\0" } }, { sample: { ...machineOf({ cores: 2 }), cards } }];
    const turnedAway = odd.map(async (options) => {
      const agent = at.agent(options);
      agent.hello();
      return agent.whenClosed();
    });
    const agents = await Promise.all(Array.from({ length: 5 }, () => at.join()));
    expect(await Promise.all(turnedAway)).toMatchObject(
      ["hello.hostname", 'hello.labels["k"]', "hello.sample.cards[0].card_id"].map((field) => ({
        code: "INVALID_ARGUMENT",
        fieldViolations: [{ field }],
      })),
    );
    await waitFor(async () => {
      const rows = await database.sql<{ agent_id: string }>("SELECT agent_id FROM registry.agent_samples");
      const written = new Set(rows.map((row) => row.agent_id));
      return agents.every(({ agentId }) => written.has(agentId));
    });
  });

  it("a new sample shows in the very next query", async () => {
    const agent = await at.join();
    await agent.beat({ sample: machineOf({ cores: 7 }) });
    expect(await at.capacity.getAgentCapacity({ agentId: agent.agentId })).toMatchObject({ cpuCoresAvailable: 7 });
  });

  it("a stream that ends without a goodbye makes the agent SUSPECT at once, and a Hello brings it back", async () => {
    const agent = await at.join();
    const { agentId } = agent;
    agent.drop();
    await agent.whenClosed();
    await at.untilStatus(agentId, AGENT_STATUS_SUSPECT);
    const { agents } = await at.capacity.listAvailableCapacity(wire.ListAvailableCapacityRequest.fromPartial({}));
    expect(agents.map((row) => row.agentId)).not.toContain(agentId);
    await at.join({ agentId });
    expect(await at.statusOf(agentId)).toBe(AGENT_STATUS_ONLINE);
  });

  it.each([
    ["SHUTDOWN", wire.GoodbyeReason.GOODBYE_REASON_SHUTDOWN, "goodbye: shutdown"],
    ["SLEEP", wire.GoodbyeReason.GOODBYE_REASON_SLEEP, "goodbye: sleep"],
    ["OWNER", wire.GoodbyeReason.GOODBYE_REASON_OWNER, "goodbye: owner"],
  ])("a goodbye (%s) makes it OFFLINE at once, with the reason, in the database too", async (_, reason, told) => {
    const agent = await at.join();
    agent.goodbye(reason);
    expect(await agent.whenClosed()).toBeNull();
    const { agent: shown } = await at.fleet.getAgent({ agentId: agent.agentId });
    expect(shown).toMatchObject({ status: AGENT_STATUS_OFFLINE, statusReason: told });
    await waitFor(async () => {
      const [row] = await database.sql<{ status: string }>(
        "SELECT status FROM registry.agent_liveness WHERE agent_id = $1",
        [agent.agentId],
      );
      return row?.status === "offline";
    });
  });

  it("an agent that falls silent is SUSPECT after its TTL, and OFFLINE after the grace, with the reason", async () => {
    const agent = await hasty.join();
    await agent.beat();
    await hasty.untilStatus(agent.agentId, AGENT_STATUS_SUSPECT);
    await hasty.untilStatus(agent.agentId, AGENT_STATUS_OFFLINE);
    const { agent: shown } = await hasty.fleet.getAgent({ agentId: agent.agentId });
    expect(shown!.statusReason).toContain("no beat for 1.2 s");
    expect(await agent.whenClosed()).toMatchObject({ code: "UNAVAILABLE", reason: "AGENT_GIVEN_UP" });
    await hasty.join({ agentId: agent.agentId });
    expect(await hasty.statusOf(agent.agentId)).toBe(AGENT_STATUS_ONLINE);
  });

  it("an agent that beats stays ONLINE, and one that beats again while SUSPECT comes back", async () => {
    const agent = await hasty.join();
    await hasty.untilStatus(agent.agentId, AGENT_STATUS_SUSPECT);
    await agent.beat();
    expect(await hasty.statusOf(agent.agentId)).toBe(AGENT_STATUS_ONLINE);
    agent.goodbye();
  });

  it("a newer Hello of the same start supersedes the old stream, whose late end changes nothing", async () => {
    const options = { agentId: randomUUID(), incarnation: randomUUID() };
    const old = await at.join(options);
    const renewed = at.agent(options);
    expect((await renewed.join()).epoch).toBe(2);
    expect(await old.whenClosed()).toMatchObject({ reason: "SESSION_SUPERSEDED" });
    old.goodbye();
    await renewed.beat();
    expect(await at.statusOf(options.agentId)).toBe(AGENT_STATUS_ONLINE);
    expect(renewed.closed).toBeUndefined();
  });

  it("a Hello that arrives after a newer stream's is refused: its sample would give away the room of what runs", async () => {
    const options = { agentId: randomUUID(), incarnation: randomUUID() };
    const newer = await at.join({ ...options, session: 2 });
    const late = at.agent({ ...options, session: 1 });
    late.hello();
    expect(await late.whenClosed()).toMatchObject({ code: "ABORTED", reason: "SESSION_SUPERSEDED" });
    await newer.beat();
    expect(newer.closed).toBeUndefined();
  });

  it("a clone is refused with instructions while the first still beats", async () => {
    const agentId = randomUUID();
    const first = await at.join({ agentId });
    const clone = at.agent({ agentId });
    clone.hello();
    const error = await clone.whenClosed();
    expect(error).toMatchObject({ code: "ALREADY_EXISTS", reason: "AGENT_CLONED" });
    expect(error!.message).toContain("identity file");
    await first.beat();
    expect(await at.statusOf(agentId)).toBe(AGENT_STATUS_ONLINE);
  });

  it("an agent that was killed and restarted gets in at once when its old stream has closed", async () => {
    const agentId = randomUUID();
    const killed = await at.join({ agentId });
    killed.drop();
    await killed.whenClosed();
    const restarted = await at.join({ agentId });
    expect(await at.statusOf(agentId)).toBe(AGENT_STATUS_ONLINE);
    expect((await restarted.beat()).seq).toBe(1);
  });

  it("many agents joining at once are all let in", async () => {
    const agents = await Promise.all(Array.from({ length: 100 }, () => at.join()));
    const { totalSize } = await at.fleet.listAgents(
      wire.ListAgentsRequest.fromPartial({ statuses: [AGENT_STATUS_ONLINE], pageSize: 1 }),
    );
    expect(totalSize).toBeGreaterThanOrEqual(100);
    for (const agent of agents) agent.goodbye();
    await Promise.all(agents.map((agent) => agent.whenClosed()));
  });

  it("an offline agent can be removed, one that is there cannot, and a removed one may come back", async () => {
    const agent = await at.join();
    const { agentId } = agent;
    const refused = await at.fleet.removeAgent({ agentId }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "FAILED_PRECONDITION", reason: "AGENT_NOT_OFFLINE" });
    agent.goodbye();
    await agent.whenClosed();
    await at.fleet.removeAgent({ agentId });
    const gone = await at.fleet.getAgent({ agentId }).catch((error: unknown) => error);
    expect(gone).toMatchObject({ code: "NOT_FOUND", reason: "AGENT_NOT_FOUND" });
    await at.join({ agentId });
    expect(await at.statusOf(agentId)).toBe(AGENT_STATUS_ONLINE);
  });

  it("samples are written once a second, and never touch a guard", async () => {
    const agent = await at.join();
    for (let cores = 1; cores <= 10; cores += 1) await agent.beat({ sample: machineOf({ cores }) });
    const row = await waitFor(async () => {
      const [found] = await database.sql<{ cores: number; version: number }>(
        `SELECT cpu_available_millicores::int / 1000 AS cores, version::int AS version
           FROM registry.agent_samples JOIN registry.agent_guards USING (agent_id) WHERE agent_id = $1`,
        [agent.agentId],
      );
      return found?.cores === 10 ? found : null;
    });
    expect(row.version).toBe(0);
  });

  it("heartbeat needs the token", async () => {
    const channel = createChannel({ address: at.registry.grpcAddress!, ports: systemPorts, logger: silentLogger });
    const stranger = new FakeAgent(channel);
    stranger.hello();
    expect(await stranger.whenClosed()).toMatchObject({ code: "UNAUTHENTICATED", reason: "TOKEN_REQUIRED" });
    channel.close();
  });
});
