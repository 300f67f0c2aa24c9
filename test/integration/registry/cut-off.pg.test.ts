/** One of two registry processes loses its way to PostgreSQL, and nothing else (DESIGN 4). */
import { wire } from "@headroom/contracts";
import { createOrchestrator, type Orchestrator } from "@headroom/orchestrator";
import { createClient } from "@headroom/rpc";
import { formatHostPort, type Ports, systemPorts } from "@headroom/runtime";
import {
  type Balancer,
  type Cable,
  type CapturingLogger,
  captureLogger,
  createTestDatabase,
  makeTempDir,
  startBalancer,
  startCable,
  type TempDir,
  type TestDatabase,
  waitFor,
} from "@headroom/testing";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { configOf } from "../orchestrator/harness.ts";
import type { FakeAgent } from "./support/fake-agent.ts";
import { type RegistryUnderTest, startRegistry } from "./support/harness.ts";

const { AGENT_STATUS_ONLINE: ONLINE, AGENT_STATUS_SUSPECT: SUSPECT } = wire.AgentStatus;
const { SERVING, NOT_SERVING } = wire.HealthCheckResponse_ServingStatus;

let database: TestDatabase;
let cable: Cable;
let balancer: Balancer;
let well: RegistryUnderTest;
let cutOff: RegistryUnderTest;
let agents: { readonly well: FakeAgent; readonly cutOff: FakeAgent };
/** Sees the fleet through whoever the balancer gives it. */
let orchestrator: Orchestrator;
let orchestratorLog: CapturingLogger;
let dir: TempDir;
/** How much time has passed for the one that is cut off beyond what really has. */
let skippedMs = 0;

beforeAll(async () => {
  database = await createTestDatabase({ label: "registry cut off" });
  const { host, port, user, password, database: name } = new pg.Client(database.connectionString);
  cable = await startCable(host.startsWith("/") ? { path: `${host}/.s.PGSQL.${port}` } : { host, port });
  const throughCable = new URL(`postgresql://127.0.0.1:${cable.address.port}/${name}`);
  throughCable.username = user ?? "";
  throughCable.password = password ?? "";
  // These agents do not beat by themselves.
  const env = { HEADROOM_HEARTBEAT_INTERVAL_SECONDS: "300", HEADROOM_TOKEN: "0123456789abcdef0123456789abcdef" };
  const { clock } = systemPorts;
  const ports: Ports = {
    ...systemPorts,
    clock: { ...clock, now: () => clock.now(), monotonic: () => clock.monotonic() + skippedMs },
  };
  well = await startRegistry({ databaseUrl: database.connectionString, env });
  cutOff = await startRegistry({ databaseUrl: throughCable.href, env, overrides: { ports } });
  agents = { well: await well.join(), cutOff: await cutOff.join() };
  for (const at of [well, cutOff])
    for (const { agentId } of Object.values(agents)) await at.untilStatus(agentId, ONLINE);
  balancer = await startBalancer([cutOff, well].map(({ registry }) => registry.grpcAddress!.port));
  dir = await makeTempDir("cut-off");
  orchestratorLog = captureLogger();
  const config = configOf({
    DATABASE_URL: database.connectionString,
    HEADROOM_DATA_DIR: dir.path,
    HEADROOM_TOKEN: env.HEADROOM_TOKEN,
    HEADROOM_REGISTRY_ADDR: formatHostPort(balancer.address),
    HEADROOM_DRAIN_SECONDS: "1",
  });
  orchestrator = createOrchestrator(config, { logger: orchestratorLog });
  await orchestrator.start();
}, 60_000);

afterAll(async () => {
  cable?.plugIn();
  await orchestrator?.stop();
  await balancer?.close();
  await well?.stop();
  await cutOff?.stop();
  await cable?.close();
  await database?.drop();
  await dir?.remove();
});

const readiness = async (at: RegistryUnderTest): Promise<{ readonly status: number; readonly body: unknown }> => {
  const answer = await fetch(`${at.restUrl}/readyz`);
  return { status: answer.status, body: await answer.json() };
};

const connected = async (at: RegistryUnderTest): Promise<string | undefined> =>
  /^headroom_database_connected (\d)$/m.exec(await (await fetch(`${at.restUrl}/metrics`)).text())?.[1];

const health = async (at: RegistryUnderTest): Promise<readonly wire.HealthCheckResponse_ServingStatus[]> => {
  const client = createClient(wire.HealthService, at.channel);
  const services = ["", ...["Agent", "Capacity", "Fleet"].map((name) => `headroom.registry.v1.${name}Service`)];
  return Promise.all(services.map(async (service) => (await client.check({ service })).status));
};

/** The registry processes that the orchestrator has watched, in their order. */
const watched = (): readonly unknown[] =>
  orchestratorLog.records
    .filter(({ message }) => message === "the registry is being watched")
    .map(({ fields }) => fields["registry_instance"]);

const readWatch = async (at: RegistryUnderTest): Promise<wire.WatchCapacityResponse | null> => {
  for await (const message of at.capacity.watchCapacity({})) if (!message.snapshot) return message;
  return null;
};

it(
  "DESIGN-4: it says so, sends orchestrators to the other one, and tells nobody what it knew of that one's agents; with its way back all is as before",
  { timeout: 60_000 },
  async () => {
    await waitFor(() => watched().length === 1);
    const watching = readWatch(cutOff).catch((error: unknown) => error);

    cable.pull();
    skippedMs += 20_000;
    await cutOff.untilStatus(agents.well.agentId, SUSPECT);
    expect(await cutOff.statusOf(agents.cutOff.agentId)).toBe(ONLINE);
    expect(await watching).toMatchObject({ code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE" });
    expect(await readWatch(cutOff).catch((error: unknown) => error)).toMatchObject({ reason: "DATABASE_UNAVAILABLE" });
    expect(await readiness(cutOff)).toMatchObject({
      status: 503,
      body: { why: expect.stringContaining("has not reached its database") },
    });
    await waitFor(async () => (await health(cutOff)).every((status) => status === NOT_SERVING));
    expect([await connected(cutOff), await connected(well)]).toEqual(["0", "1"]);

    // The orchestrator is with the other one, for which this one is dead by now, and nothing else has happened.
    await waitFor(() => watched().length > 1);
    expect(new Set(watched()).size).toBe(2);
    await well.untilStatus(agents.cutOff.agentId, SUSPECT);
    expect(await well.statusOf(agents.well.agentId)).toBe(ONLINE);
    expect(await readiness(well)).toMatchObject({ status: 200 });
    // Its own agents stay, are heard and told.
    await agents.cutOff.beat({ attached: true });
    const available = await cutOff.capacity.listAvailableCapacity(wire.ListAvailableCapacityRequest.fromPartial({}));
    expect(available.agents.map(({ agentId }) => agentId)).toEqual([agents.cutOff.agentId]);

    cable.plugIn();
    await cutOff.untilStatus(agents.well.agentId, ONLINE);
    await waitFor(async () => (await health(cutOff)).every((status) => status === SERVING));
    expect(await readiness(cutOff)).toMatchObject({ status: 200 });
    expect(await connected(cutOff)).toBe("1");
    await well.untilStatus(agents.cutOff.agentId, ONLINE);
    const again = cutOff.capacity.watchCapacity({})[Symbol.asyncIterator]();
    const snapshot = (await again.next()).value as wire.WatchCapacityResponse;
    await again.return?.();
    expect(snapshot.agents.map(({ status }) => status)).toEqual([ONLINE, ONLINE]);
    // The well one's agent was doubted by nobody else, and blamed by nobody.
    const rows = await database.sql<{ flaps: number; status_reason: string }>(
      "SELECT flaps, status_reason FROM registry.agent_liveness",
    );
    expect(rows.map(({ flaps }) => flaps)).toEqual([0, 0]);
    expect(rows.filter(({ status_reason }) => status_reason.includes("cannot follow"))).toEqual([]);
  },
);
