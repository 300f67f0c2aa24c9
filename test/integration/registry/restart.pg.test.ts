/** What a registry that stops, is killed, restarts or cannot start does to its agents and promises. */
import { wire } from "@headroom/contracts";
import { createRegistry } from "@headroom/registry";
import { createClient } from "@headroom/rpc";
import { captureLogger, createTestDatabase, makeTempDir, type TestDatabase, waitFor } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { machineOf, useOf } from "./support/fake-agent.ts";
import { configOf, type RegistryUnderTest, reserveOf, startRegistry } from "./support/harness.ts";

const { AGENT_STATUS_ONLINE, AGENT_STATUS_OFFLINE, AGENT_STATUS_UNKNOWN } = wire.AgentStatus;

describe("restarts of the registry", () => {
  let database: TestDatabase;
  const running: RegistryUnderTest[] = [];

  beforeEach(async () => {
    database = await createTestDatabase({ label: "registry restart" });
  });
  afterEach(async () => {
    for (const at of running.splice(0)) await at.stop();
    await database.drop();
  });

  async function start(env: Readonly<Record<string, string>> = {}): Promise<RegistryUnderTest> {
    const at = await startRegistry({ databaseUrl: database.connectionString, env });
    running.push(at);
    return at;
  }
  const statusRow = async (agentId: string): Promise<string | undefined> =>
    (
      await database.sql<{ status: string }>("SELECT status FROM registry.agent_liveness WHERE agent_id = $1", [
        agentId,
      ])
    )[0]?.status;

  it("a stop asks the agents to reconnect and leaves them ONLINE in the database", async () => {
    const at = await start();
    const agent = await at.join();
    await at.registry.stop("test");
    await agent.whenClosed();
    expect(agent.received.map(({ $case }) => $case)).toContain("reconnect");
    expect(await statusRow(agent.agentId)).toBe("online");
    expect(await database.sql("SELECT * FROM registry.replicas")).toEqual([]);
  });

  it("an agent that comes back while the registry still stops is turned away, and no status suffers", async () => {
    const at = await start({ HEADROOM_DRAIN_SECONDS: "3" });
    const agent = await at.join();
    const stopping = at.registry.stop("test");
    await waitFor(() => agent.received.some(({ $case }) => $case === "reconnect"));
    const eager = at.agent({ agentId: agent.agentId, incarnation: agent.incarnation });
    eager.hello();
    expect(await eager.whenClosed()).not.toBeNull();
    await stopping;
    expect(await statusRow(agent.agentId)).toBe("online");
  });

  it("an agent whose Hello waits for the database at that moment is sent away as well, and stays ONLINE", async () => {
    const at = await start();
    const agent = await at.join();
    const holding = new pg.Client(database.connectionString);
    await holding.connect();
    try {
      await holding.query("BEGIN");
      await holding.query("SELECT FROM registry.agent_liveness WHERE agent_id = $1 FOR UPDATE", [agent.agentId]);
      const again = at.agent({ agentId: agent.agentId, incarnation: agent.incarnation });
      again.hello();
      await waitFor(async () => {
        const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
        return (await database.sql(waiting)).length > 0;
      });
      const stopping = at.registry.stop("test");
      await again.whenClosed();
      expect(again.received.map(({ $case }) => $case)).toEqual(["reconnect"]);
      await holding.query("COMMIT");
      await stopping;
    } finally {
      await holding.end();
    }
    const [row] = await database.sql<{ status: string; epoch: string }>(
      "SELECT status, epoch FROM registry.agent_liveness WHERE agent_id = $1",
      [agent.agentId],
    );
    expect(row).toEqual({ status: "online", epoch: "2" });
  });

  it("after a restart agents are UNKNOWN until they come back, and OFFLINE when the grace ends", async () => {
    const before = await start();
    const [back, lost] = [await before.join(), await before.join()];
    await back.beat({ sample: machineOf({ cores: 5 }) });
    await before.stop();
    const after = await start({ HEADROOM_OFFLINE_GRACE_SECONDS: "2" });
    expect(await after.statusOf(back.agentId)).toBe(AGENT_STATUS_UNKNOWN);
    expect(await after.statusOf(lost.agentId)).toBe(AGENT_STATUS_UNKNOWN);
    const { agents } = await after.capacity.listAvailableCapacity(wire.ListAvailableCapacityRequest.fromPartial({}));
    expect(agents).toEqual([]);
    expect(await after.capacity.getAgentCapacity({ agentId: back.agentId })).toMatchObject({ cpuCoresAvailable: 5 });
    const rejoined = await after.join({ agentId: back.agentId });
    expect((await rejoined.welcome()).epoch).toBe(2);
    expect(await after.statusOf(back.agentId)).toBe(AGENT_STATUS_ONLINE);
    await after.untilStatus(lost.agentId, AGENT_STATUS_OFFLINE);
    await waitFor(async () => (await statusRow(lost.agentId)) === "offline");
  });

  it("promises survive a restart, with their leases; the Hello confirms, adopts and releases", async () => {
    const before = await start();
    const agent = await before.join();
    const [unconfirmed, confirmed, ended, foreign] = Array.from({ length: 4 }, () => randomUUID());
    const ids = [unconfirmed!, confirmed!, ended!];
    await before.capacity.reserveCapacity({
      reservations: ids.map((attemptId) => reserveOf(attemptId, { cpuCores: 2 })),
      allOrNothing: true,
    });
    await agent.beat({ sample: machineOf({ cores: 16 }, [useOf(confirmed!), useOf(ended!)]) });
    const states = async (): Promise<Record<string, string>> => {
      const rows = await database.sql<{ attempt_id: string; state: string }>(
        "SELECT attempt_id, state FROM registry.reservations",
      );
      return Object.fromEntries(rows.map((row) => [row.attempt_id, row.state]));
    };
    await waitFor(async () => (await states())[ended!] === "confirmed");
    await before.stop();
    const after = await start();
    expect(await after.capacity.getAgentCapacity({ agentId: agent.agentId })).toMatchObject({ cpuCoresAvailable: 10 });
    await after.join({
      agentId: agent.agentId,
      sample: machineOf({ cores: 16 }, [useOf(confirmed!), useOf(foreign!, 1, 1_000)]),
    });
    await waitFor(async () => (await states())[foreign!] === "adopted");
    expect(await states()).toEqual({
      [unconfirmed!]: "unconfirmed",
      [confirmed!]: "confirmed",
      [ended!]: "released",
      [foreign!]: "adopted",
    });
  });

  it("health: capacity is served when the agents are back, agents can come at once", async () => {
    const before = await start();
    const agent = await before.join();
    await before.stop();
    const after = await start();
    const health = createClient(wire.HealthService, after.channel);
    const check = async (service: string) => (await health.check({ service })).status;
    const { SERVING, NOT_SERVING } = wire.HealthCheckResponse_ServingStatus;
    await waitFor(async () => (await check("headroom.registry.v1.AgentService")) === SERVING);
    expect(await check("headroom.registry.v1.CapacityService")).toBe(NOT_SERVING);
    await after.join({ agentId: agent.agentId });
    await waitFor(async () => (await check("headroom.registry.v1.CapacityService")) === SERVING);
  });

  it("a registry that stops for good: its agents are ONLINE until their TTL, then doubted until they come elsewhere", async () => {
    const env = { HEADROOM_OFFLINE_GRACE_SECONDS: "20", HEADROOM_HEARTBEAT_INTERVAL_SECONDS: "2" };
    const one = await start(env);
    const two = await start(env);
    const agent = await one.join();
    await two.untilStatus(agent.agentId, AGENT_STATUS_ONLINE);
    await one.registry.stop("test");
    expect(await two.statusOf(agent.agentId)).toBe(AGENT_STATUS_ONLINE);
    await two.untilStatus(agent.agentId, wire.AgentStatus.AGENT_STATUS_SUSPECT);
    await two.join({ agentId: agent.agentId });
    expect(await two.statusOf(agent.agentId)).toBe(AGENT_STATUS_ONLINE);
  });

  it("DESIGN-4: beside another one that lives it serves when it knows that one's agents as that one does, and not before", async () => {
    const before = await start();
    const { agentId } = await before.join();
    await before.registry.stop("test");
    // That it lives is said by the test from now on.
    const renew = `INSERT INTO registry.replicas (replica_id, lease_expires_at)
      SELECT replica_id, now() + interval '1 minute' FROM registry.agent_liveness
      ON CONFLICT (replica_id) DO UPDATE SET lease_expires_at = excluded.lease_expires_at`;
    await database.sql(renew);
    const at = await startRegistry({ databaseUrl: database.connectionString, waitForStart: false });
    running.push(at);
    const ready = async () => (await (await fetch(`${at.restUrl}/readyz`)).json()) as { readonly why?: string };
    await waitFor(async () => (await ready()).why?.includes("other registry processes") === true);
    const refused = await at.statusOf(agentId).catch((error: unknown) => error);
    await database.sql(renew);
    expect(refused).toMatchObject({ code: "UNAVAILABLE", reason: "REGISTRY_STARTING" });
    await at.registry.start();
    expect(await at.statusOf(agentId)).toBe(AGENT_STATUS_ONLINE);
  });

  it("starts and stops idempotently, in any order", async () => {
    const dir = await makeTempDir("registry");
    const registry = createRegistry(configOf(database.connectionString, dir.path));
    await registry.stop();
    await Promise.all([registry.start(), registry.start()]);
    expect(registry.grpcAddress).not.toBeNull();
    await Promise.all([registry.stop(), registry.stop()]);
    expect(registry.grpcAddress).toBeNull();
    await registry.start();
    const starting = registry.stop();
    await starting;
    await registry.stop();
    await dir.remove();
  });

  it("a port that is taken is told with the setting that changes it", async () => {
    const at = await start();
    const dir = await makeTempDir("registry");
    const { port } = at.registry.grpcAddress!;
    const config = configOf(database.connectionString, dir.path, { HEADROOM_REGISTRY_GRPC_ADDR: `127.0.0.1:${port}` });
    const error = await createRegistry(config)
      .start()
      .catch((failed: unknown) => failed);
    expect(String(error)).toContain(`127.0.0.1:${port}`);
    expect(String(error)).toContain("HEADROOM_REGISTRY_GRPC_ADDR or --grpc-addr");
    await dir.remove();
  });

  it("refuses to listen on an open address without credentials", async () => {
    const dir = await makeTempDir("registry");
    const config = configOf(database.connectionString, dir.path, { HEADROOM_REGISTRY_GRPC_ADDR: "0.0.0.0:0" });
    const error = await createRegistry(config)
      .start()
      .catch((failed: unknown) => failed);
    expect(String(error)).toContain("HEADROOM_TLS_CERT_FILE");
    await dir.remove();
  });

  it("a wrong password or database is told at once, not waited for", async () => {
    const dir = await makeTempDir("registry");
    const logger = captureLogger();
    const wrong = database.connectionString.replace(database.name, "no_such_database");
    const error = await createRegistry(configOf(wrong, dir.path), { logger })
      .start()
      .catch((failed: unknown) => failed);
    expect(String(error)).toContain("correct DATABASE_URL");
    await dir.remove();
  });
});
