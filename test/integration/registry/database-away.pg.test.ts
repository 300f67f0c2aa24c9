/** PostgreSQL away, at the start and in mid-flight: the registry says so, goes on with what it can, and mends itself. */
import { wire } from "@headroom/contracts";
import { createDatabase } from "@headroom/postgres";
import { REGISTRY_SCHEMA } from "@headroom/registry";
import { createClient } from "@headroom/rpc";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { type PrivatePostgres, startPrivatePostgres, waitFor } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { machineOf, useOf } from "./support/fake-agent.ts";
import { type RegistryUnderTest, reserveOf, startRegistry } from "./support/harness.ts";

describe("the database is away", () => {
  let postgres: PrivatePostgres;
  let at: RegistryUnderTest;

  beforeAll(async () => {
    postgres = await startPrivatePostgres();
    at = await startRegistry({ databaseUrl: postgres.connectionString });
  });
  afterAll(async () => {
    await at?.stop();
    await postgres?.remove();
  });

  const reserve = (attemptId: string) =>
    at.capacity.reserveCapacity({ reservations: [reserveOf(attemptId)], allOrNothing: false });
  const failure = (call: Promise<unknown>): Promise<unknown> =>
    call.then(
      () => null,
      (error: unknown) => error,
    );

  it("in mid-flight: beats and queries go on, promises are refused with when to try again, then all is made up for", async () => {
    const agent = await at.join();
    const { agentId } = agent;
    const [promised, adopted] = [randomUUID(), randomUUID()];
    await reserve(promised);
    await postgres.stop();

    await agent.beat({ sample: machineOf({ cores: 9 }, [useOf(adopted, 1, 1_000)]) });
    await agent.beat({ attached: true });
    // 1 core promised, 1 core in use by an attempt that nobody could adopt yet.
    expect(await at.capacity.getAgentCapacity({ agentId })).toMatchObject({ cpuCoresAvailable: 8 });
    const refused = await failure(reserve(randomUUID()));
    expect(refused).toMatchObject({ code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE" });
    expect((refused as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(0);
    expect(await failure(at.fleet.cordonAgent({ agentId, reason: "" }))).toMatchObject({ code: "UNAVAILABLE" });
    const newcomer = at.agent();
    newcomer.hello();
    expect(await newcomer.whenClosed()).toMatchObject({ code: "UNAVAILABLE" });
    await waitFor(() => at.logger.has("cannot be written now", "warn"));

    await postgres.start();
    await waitFor(async () => (await reserve(randomUUID())).results[0]!.outcome!.$case === "reserved");
    const { attempt_id, cores } = await waitFor(async () => {
      const rows = await sql(`SELECT r.attempt_id, s.cpu_available_millicores / 1000 AS cores
        FROM registry.reservations r JOIN registry.agent_samples s USING (agent_id)
       WHERE r.state = 'adopted' AND s.cpu_available_millicores = 9000`);
      return rows[0] ?? null;
    });
    expect({ attempt_id, cores: Number(cores) }).toEqual({ attempt_id: adopted, cores: 9 });
    expect((await at.join()).agentId).toBeDefined();
  });

  it("of another version, as in the middle of an update: promises are refused with when to try again, samples are kept, and all is made up for", async () => {
    const agent = await at.join({ poolName: "updated", sample: machineOf({ cores: 8 }) });
    await sql("ALTER TABLE registry.reservations RENAME COLUMN reserved_at TO promised_at");
    await sql("ALTER TABLE registry.agent_samples RENAME COLUMN cpu_available_millicores TO cpu_left");
    try {
      const refused = await failure(reserve(randomUUID()));
      expect(refused).toMatchObject({ code: "UNAVAILABLE", reason: "REGISTRY_STARTING" });
      await agent.beat({ sample: machineOf({ cores: 7 }) });
      await waitFor(() => at.logger.has("cannot be written now", "warn"));
    } finally {
      await sql("ALTER TABLE registry.reservations RENAME COLUMN promised_at TO reserved_at");
      await sql("ALTER TABLE registry.agent_samples RENAME COLUMN cpu_left TO cpu_available_millicores");
    }
    await waitFor(async () => (await reserve(randomUUID())).results[0]!.outcome!.$case === "reserved");
    await waitFor(async () => {
      const [row] = await sql(
        `SELECT cpu_available_millicores FROM registry.agent_samples WHERE agent_id = '${agent.agentId}'`,
      );
      return Number(row?.["cpu_available_millicores"]) === 7_000;
    });
  });

  it("of another version at the start, though it has just been brought up to date: it ends and says so, instead of waiting for ever", async () => {
    await at.join();
    await sql("ALTER TABLE registry.agents RENAME COLUMN pool_name TO pool");
    try {
      await expect(startRegistry({ databaseUrl: postgres.connectionString })).rejects.toThrow("of another version");
    } finally {
      await sql("ALTER TABLE registry.agents RENAME COLUMN pool TO pool_name");
    }
  });

  it("killed in mid-flight: no answer was given for a promise that is not there", async () => {
    const agent = await at.join({ poolName: "killed", sample: machineOf({ cores: 64, totalCores: 64 }) });
    const given = new Set<string>();
    const callers = Array.from({ length: 4 }, async () => {
      for (let round = 0; round < 40; round += 1) {
        const attemptId = randomUUID();
        const reservations = [reserveOf(attemptId, { cpuCores: 0.1, agentId: agent.agentId })];
        const answer = await at.capacity.reserveCapacity({ reservations, allOrNothing: false }).catch(() => null);
        if (answer?.results[0]?.outcome?.$case === "reserved") given.add(attemptId);
      }
    });
    await waitFor(() => given.size > 5);
    postgres.kill9();
    await Promise.all(callers);
    await waitFor(async () => (await reserve(randomUUID()).catch(() => null)) !== null);
    const rows = await sql("SELECT attempt_id FROM registry.reservations");
    const kept = new Set(rows.map((row) => row["attempt_id"]));
    expect([...given].filter((attemptId) => !kept.has(attemptId))).toEqual([]);
  });

  it("away at the start: says what to do, both ports answer NOT_SERVING, and it serves when the database comes", async () => {
    await postgres.stop();
    const late = await startRegistry({ databaseUrl: postgres.connectionString, waitForStart: false });
    try {
      await waitFor(() => late.logger.has("DATABASE_URL", "warn"));
      const health = createClient(wire.HealthService, late.channel);
      const { SERVING, NOT_SERVING } = wire.HealthCheckResponse_ServingStatus;
      expect((await health.check({ service: "headroom.registry.v1.AgentService" })).status).toBe(NOT_SERVING);
      expect((await fetch(`${late.restUrl}/readyz`)).status).toBe(503);
      expect((await fetch(`${late.restUrl}/healthz`)).status).toBe(200);
      const asked = await failure(late.capacity.getAgentCapacity({ agentId: randomUUID() }, { deadlineMs: 2_000 }));
      expect(asked).toMatchObject({ code: "UNAVAILABLE", reason: "REGISTRY_STARTING" });
      await postgres.start();
      await late.registry.start();
      await waitFor(
        async () => (await health.check({ service: "headroom.registry.v1.AgentService" })).status === SERVING,
      );
      await late.join();
    } finally {
      await late.stop();
      await postgres.start();
    }
  });

  it("away at the start, and told to stop: it stops", async () => {
    await postgres.stop();
    const late = await startRegistry({ databaseUrl: postgres.connectionString, waitForStart: false });
    await late.stop();
    expect(late.registry.state()).toBe("stopped");
    await postgres.start();
  });

  async function sql(text: string): Promise<Record<string, unknown>[]> {
    const database = createDatabase({
      connection: postgres.connectionString,
      schema: REGISTRY_SCHEMA,
      applicationName: "test",
      logger: silentLogger,
      ports: systemPorts,
      max: 1,
    });
    try {
      return (await database.knex.raw<{ rows: Record<string, unknown>[] }>(text)).rows;
    } finally {
      await database.close();
    }
  }
});
