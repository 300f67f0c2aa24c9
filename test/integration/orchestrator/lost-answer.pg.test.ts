/** A call is committed and its answer is lost on the way from the database: whoever asks again has it go on at once, not with the next poll. */
import { randomUUID } from "node:crypto";
import { wire } from "@headroom/contracts";
import {
  createOrchestrator,
  createPostgresStore,
  type Orchestrator,
  orchestratorMigrations,
  orchestratorSchema,
  type OrchestratorStore,
} from "@headroom/orchestrator";
import { createDatabase, migrate, type PooledDatabase } from "@headroom/postgres";
import { type Channel, createChannel, createClient, ensureTokenFile, type RpcClient } from "@headroom/rpc";
import { silentLogger, systemPorts } from "@headroom/runtime";
import { createTestDatabase, makeTempDir, type TempDir, type TestDatabase } from "@headroom/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createFakeAgent, type FakeAgent } from "./fake-agent.ts";
import { type FakeRegistry, startFakeRegistry } from "./fake-registry.ts";
import { configOf, planOf, waitUntil } from "./harness.ts";

interface Replica {
  readonly orchestrator: Orchestrator;
  readonly plans: RpcClient<typeof wire.PlanServiceService>;
}

let database: TestDatabase;
let pool: PooledDatabase;
let dir: TempDir;
let token: string;
let registry: FakeRegistry;
let agent: FakeAgent;
const channels: Channel[] = [];
const started: Orchestrator[] = [];
const lost = { code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE" };
const fail = { exitCode: 1 };

beforeAll(async () => {
  database = await createTestDatabase({ label: "orch_lost_answer" });
  dir = await makeTempDir("orch_lost_answer");
  token = await ensureTokenFile(`${dir.path}/token`);
  const common = { connection: database.connectionString, schema: orchestratorSchema, logger: silentLogger };
  await migrate({ ...common, migrations: orchestratorMigrations, ports: systemPorts });
  pool = createDatabase({ ...common, applicationName: "lost answer", ports: systemPorts });
});
beforeEach(async () => {
  registry = await startFakeRegistry(token);
  agent = createFakeAgent({ token });
});
afterEach(async () => {
  agent.close();
  for (const channel of channels.splice(0)) channel.close();
  for (const orchestrator of started.splice(0)) await orchestrator.stop();
  await registry.stop();
  await pool.knex.raw("TRUNCATE plans CASCADE");
});
afterAll(async () => {
  await pool.close();
  await database.drop();
  await dir.remove();
});

/** The answer to the first call of this method is lost; `dies`: with the process, of which nothing more reaches the database. */
function losing(at: "acceptPlan" | "retryPlan", dies = false): OrchestratorStore {
  let isLost = false;
  return new Proxy(createPostgresStore(pool), {
    get(target, name: keyof OrchestratorStore) {
      // Every member of the port is a method that answers a promise.
      const method = target[name] as (...args: unknown[]) => Promise<unknown>;
      return async (...args: unknown[]): Promise<unknown> => {
        if (isLost && dies) throw Object.assign(new Error("this process is dead"), { code: "ECONNREFUSED" });
        const answer = await method(...args);
        if (isLost || name !== at) return answer;
        isLost = true;
        throw Object.assign(new Error("Connection terminated unexpectedly"), { code: "ECONNRESET" });
      };
    },
  });
}

/** One that polls for nothing as long as the test lasts. */
async function start(store: OrchestratorStore): Promise<Replica> {
  const config = configOf({
    DATABASE_URL: database.connectionString,
    HEADROOM_DATA_DIR: dir.path,
    HEADROOM_REGISTRY_ADDR: registry.address,
    HEADROOM_CLAIM_LEASE_SECONDS: "1",
    PAUSE_POLLING_INTERVAL_SECONDS: "3600",
    HEADROOM_DRAIN_SECONDS: "0.2",
  });
  const orchestrator = createOrchestrator(config, { store });
  started.push(orchestrator);
  await orchestrator.start();
  const address = orchestrator.grpcAddress;
  if (address === null) throw new Error("not listening");
  const channel = createChannel({ address, ports: systemPorts, logger: silentLogger, token });
  channels.push(channel);
  const queue = createClient(wire.PauseQueueServiceService, channel);
  agent.connect(address);
  await waitUntil(() => agent.welcomed());
  registry.set(agent.agentId, { cores: 4 });
  await waitUntil(async () => (await queue.checkCapacity({ needs: undefined })).agentsOnline === 1);
  return { orchestrator, plans: createClient(wire.PlanServiceService, channel) };
}

const request = () => ({ ...planOf(2, {}, { maxAttempts: 1 }), requestId: randomUUID() });

describe("the answer of the database is lost", () => {
  it("R-PAUSE-9: of DispatchPlan: whoever is asked again has its tasks started when the claims of the first have ended", async () => {
    const first = await start(losing("acceptPlan", true));
    const asked = request();
    await expect(first.plans.dispatchPlan(asked)).rejects.toMatchObject(lost);
    agent.disconnect();
    await first.orchestrator.stop();
    const second = await start(createPostgresStore(pool));
    expect(await second.plans.dispatchPlan(asked)).toMatchObject({ duplicate: true });
    await waitUntil(() => agent.running.size === 2);
  });

  it("of DispatchPlan, and nobody asks again: its tasks start all the same", async () => {
    const { plans } = await start(losing("acceptPlan"));
    await expect(plans.dispatchPlan(request())).rejects.toMatchObject(lost);
    await waitUntil(() => agent.running.size === 2);
  });

  it("of RetryPlan: asked again, what failed runs again at once", async () => {
    const { plans } = await start(losing("retryPlan"));
    const { planId } = await plans.dispatchPlan(request());
    await waitUntil(() => agent.running.size === 2);
    for (const attemptId of agent.running.keys()) agent.finish(attemptId, fail);
    await waitUntil(async () => (await plans.getPlan({ planId })).plan?.counts?.failed === 2);
    const again = { planId, requestId: randomUUID(), reason: "" };
    await expect(plans.retryPlan(again)).rejects.toMatchObject(lost);
    expect(await plans.retryPlan(again)).toMatchObject({ duplicate: true, retriedTasks: 2 });
    await waitUntil(() => agent.running.size === 2);
  });
});
