/** Two registry processes on one database: room is never promised twice, and each follows the other. */
import { wire } from "@headroom/contracts";
import { type PostgresServer, postgresAt } from "@headroom/postgres";
import { createClient } from "@headroom/rpc";
import { createTestDatabase, SeededRandom, type TestDatabase, waitFor } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cardOf, type FakeAgent, machineOf } from "./support/fake-agent.ts";
import { type RegistryUnderTest, reserveOf, startRegistry } from "./support/harness.ts";

const AGENTS = 4;
const CORES = 16;
const VRAM_GB = 24;

describe("two registry processes on one database", () => {
  let database: TestDatabase;
  let one: RegistryUnderTest;
  let two: RegistryUnderTest;
  let agents: FakeAgent[];

  beforeAll(async () => {
    database = await createTestDatabase({ label: "registry replicas" });
    // These agents do not beat by themselves: on a busy machine the tests take longer than three of the usual 5 s.
    const options = { databaseUrl: database.connectionString, env: { HEADROOM_HEARTBEAT_INTERVAL_SECONDS: "60" } };
    one = await startRegistry(options);
    two = await startRegistry(options);
    const cards = [0, 1].map((index) => cardOf({ cardId: `gpu-${index}`, index }));
    const sample = { ...machineOf({ cores: CORES, memoryGb: 64 }), cards };
    // Half of the agents are held by each.
    agents = await Promise.all(
      Array.from({ length: AGENTS }, (_, index) => (index % 2 === 0 ? one : two).join({ sample })),
    );
    for (const at of [one, two]) {
      for (const agent of agents) await at.untilStatus(agent.agentId, wire.AgentStatus.AGENT_STATUS_ONLINE);
    }
  });
  afterAll(async () => {
    await one?.stop();
    await two?.stop();
    await database?.drop();
  });

  it("DESIGN-4: a sample that one of them has written is told to the other one", async () => {
    const listening = new pg.Client(database.connectionString);
    const heard: string[] = [];
    await listening.connect();
    try {
      listening.on("notification", ({ payload }) => void heard.push(payload ?? ""));
      await listening.query("LISTEN headroom_registry_samples");
      const [agent] = agents;
      if (agent === undefined) throw new Error("no agent");
      await agent.beat({ sample: machineOf({ cores: CORES, memoryGb: 64 }) });
      await waitFor(() => heard.length > 0);
      const rows = await database.sql<{ replica_id: string }>("SELECT replica_id FROM registry.replicas");
      expect(rows.map((row) => row.replica_id)).toContain(heard[0]);
    } finally {
      await listening.end();
    }
  });

  it("DESIGN-4: a listener that cannot tell yet whether it hears anything keeps no process from serving and from renewing its lease", async () => {
    const postgres: PostgresServer = {
      ...postgresAt(database.connectionString),
      listener: () => ({
        subscribe: () => () => undefined,
        connected: () => false,
        start: () => new Promise(() => undefined),
        stop: () => Promise.resolve(),
      }),
    };
    const replicas = await database.sql<{ replica_id: string }>("SELECT replica_id FROM registry.replicas");
    const others = replicas.map((row) => row.replica_id);
    const deaf = await startRegistry({ databaseUrl: database.connectionString, overrides: { postgres } });
    try {
      const health = createClient(wire.HealthService, deaf.channel);
      const { SERVING } = wire.HealthCheckResponse_ServingStatus;
      await waitFor(
        async () => (await health.check({ service: "headroom.registry.v1.AgentService" })).status === SERVING,
      );
      const leaseEnd = async (): Promise<number> => {
        const leases = await database.sql<{ end: string }>(
          "SELECT extract(epoch FROM lease_expires_at) AS end FROM registry.replicas WHERE replica_id <> ALL ($1)",
          [others],
        );
        return Number(leases[0]?.end);
      };
      const begun = await leaseEnd();
      await waitFor(async () => (await leaseEnd()) > begun);
    } finally {
      await deaf.stop();
    }
  });

  const seed = Math.floor(Math.random() * 2 ** 31);

  it(`of concurrent reservations from 8 connections and 2 processes none promises room twice (seed ${seed})`, async () => {
    const random = new SeededRandom(seed);
    const sides = Array.from({ length: 8 }, (_, index) => {
      const channel = (index % 2 === 0 ? one : two).connect();
      return createClient(wire.CapacityServiceService, channel);
    });
    const given = new Map<string, wire.Reservation>();
    let refused = 0;
    const below = (limit: number): number => Math.floor(random.next() * limit);
    await Promise.all(
      sides.map(async (side) => {
        for (let round = 0; round < 25; round += 1) {
          const reservations = Array.from({ length: 1 + below(4) }, () => {
            const gpu = below(3) === 0 ? { gpuCount: 1 } : below(2) === 0 ? { gpuVramGb: 1 + below(12) } : {};
            return reserveOf(randomUUID(), { cpuCores: 1 + below(4), memoryGb: below(8), ...gpu });
          });
          const { results } = await side.reserveCapacity({ reservations, allOrNothing: below(4) === 0 });
          for (const { attemptId, outcome } of results) {
            if (outcome?.$case === "reserved") given.set(attemptId, outcome.value);
            else refused += 1;
          }
          await assertNothingPromisedTwice();
          const [some] = [...given.keys()].slice(below(given.size || 1));
          if (some !== undefined && below(2) === 0) {
            given.delete(some);
            await side.releaseCapacity({ attempts: [{ attemptId: some, fence: 1 }], reason: "test" });
          }
        }
      }),
    );
    expect(given.size).toBeGreaterThan(0);
    expect(refused).toBeGreaterThan(0);
    const rows = await database.sql<{ attempt_id: string }>(
      "SELECT attempt_id FROM registry.reservations WHERE state <> 'released'",
    );
    expect(new Set(rows.map((row) => row.attempt_id))).toEqual(new Set(given.keys()));
    await release([...given.keys()]);
    await waitFor(async () => {
      for (const at of [one, two]) {
        for (const { agentId } of agents) {
          if ((await at.capacity.getAgentCapacity({ agentId })).cpuCoresAvailable !== CORES) return false;
        }
      }
      return true;
    });
  });

  async function release(attemptIds: readonly string[]): Promise<void> {
    await one.capacity.releaseCapacity({
      attempts: attemptIds.map((attemptId) => ({ attemptId, fence: 1 })),
      reason: "test",
    });
  }

  /** Σ reserved ≤ total for each agent and dimension and each card, in one snapshot of the database. */
  async function assertNothingPromisedTwice(): Promise<void> {
    const machines = await database.sql<{ cpu: number; memory: number }>(
      `SELECT sum(cpu_millicores)::int AS cpu, sum(memory_mib)::int AS memory
         FROM registry.reservations WHERE state <> 'released' GROUP BY agent_id`,
    );
    for (const { cpu, memory } of machines) {
      expect(cpu).toBeLessThanOrEqual(CORES * 1000);
      expect(memory).toBeLessThanOrEqual(64 * 1024);
    }
    const cards = await database.sql<{ vram: number; holders: number; whole: boolean }>(
      `SELECT sum((card ->> 'vram_mib')::int)::int AS vram, count(*)::int AS holders,
              bool_or((card ->> 'exclusive')::boolean) AS whole
         FROM registry.reservations, jsonb_array_elements(cards) AS card
        WHERE state <> 'released' GROUP BY agent_id, card ->> 'card_id'`,
    );
    for (const { vram, holders, whole } of cards) {
      expect(vram).toBeLessThanOrEqual(VRAM_GB * 1024);
      if (whole) expect(holders).toBe(1);
    }
  }

  it("the same attempt asked of both at once has one promise", async () => {
    for (let round = 0; round < 10; round += 1) {
      const attemptId = randomUUID();
      const request = { reservations: [reserveOf(attemptId, { cpuCores: 2 })], allOrNothing: false };
      const answers = await Promise.all([one, two, one, two].map((at) => at.capacity.reserveCapacity(request)));
      const promised = answers.map(({ results }) => results[0]!.outcome!);
      const places = promised.map((outcome) => (outcome.$case === "reserved" ? outcome.value.agentId : outcome.$case));
      expect(new Set(places).size).toBe(1);
      await release([attemptId]);
    }
  });

  it("what one promised the other can renew and release, before it has heard of it", async () => {
    const attemptId = randomUUID();
    await one.capacity.reserveCapacity({ reservations: [reserveOf(attemptId)], allOrNothing: false });
    const attempts = [{ attemptId, fence: 1 }];
    expect((await two.capacity.renewReservations({ attempts })).results[0]!.outcome).toBe(
      wire.RenewOutcome.RENEW_OUTCOME_RENEWED,
    );
    expect((await two.capacity.releaseCapacity({ attempts, reason: "" })).results[0]!.outcome).toBe(
      wire.ReleaseOutcome.RELEASE_OUTCOME_RELEASED,
    );
  });

  it("a cordon, an offline agent and a new sample at one show at the other", async () => {
    const agent = await one.join({ hostname: "shared" });
    const { agentId } = agent;
    const seen = () => two.capacity.getAgentCapacity({ agentId });
    await two.untilStatus(agentId, wire.AgentStatus.AGENT_STATUS_ONLINE);
    await one.fleet.cordonAgent({ agentId, reason: "" });
    await waitFor(async () => (await seen()).cordoned);
    await agent.beat({ sample: machineOf({ cores: 5 }) });
    await waitFor(async () => (await seen()).cpuCoresAvailable === 5);
    agent.goodbye();
    await two.untilStatus(agentId, wire.AgentStatus.AGENT_STATUS_OFFLINE);
    await two.fleet.removeAgent({ agentId });
    await waitFor(async () => (await one.fleet.getAgent({ agentId }).catch(() => null)) === null);
  });

  it("an agent moves from one to the other; its old stream is superseded", async () => {
    const options = { agentId: randomUUID(), incarnation: randomUUID() };
    const before = await one.join(options);
    const after = await two.join(options);
    expect(await before.whenClosed()).toMatchObject({ reason: "SESSION_SUPERSEDED" });
    await after.beat();
    expect(await two.statusOf(options.agentId)).toBe(wire.AgentStatus.AGENT_STATUS_ONLINE);
    await one.untilStatus(options.agentId, wire.AgentStatus.AGENT_STATUS_ONLINE);
  });
});
