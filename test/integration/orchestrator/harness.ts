import { wire } from "@headroom/contracts";
import {
  createOrchestrator,
  orchestratorConfig,
  type Orchestrator,
  type OrchestratorConfig,
} from "@headroom/orchestrator";
import { createDatabase } from "@headroom/postgres";
import { type Channel, createChannel, createClient, ensureTokenFile, type RpcClient } from "@headroom/rpc";
import {
  createMetrics,
  type HostPort,
  loadConfigOrThrow,
  type Metrics,
  type Ports,
  silentLogger,
  systemPorts,
} from "@headroom/runtime";
import {
  captureLogger,
  type CapturingLogger,
  createTestDatabase,
  makeTempDir,
  type TestDatabase,
} from "@headroom/testing";
import { createFakeAgent, type FakeAgent, type FakeAgentOptions } from "./fake-agent.ts";
import { type FakeDesktop, type FakeRegistry, startFakeRegistry } from "./fake-registry.ts";

/** One orchestrator under test, with its clients. */
export interface Running {
  readonly orchestrator: Orchestrator;
  readonly logger: CapturingLogger;
  readonly metrics: Metrics;
  readonly plans: RpcClient<typeof wire.PlanServiceService>;
  readonly queue: RpcClient<typeof wire.PauseQueueServiceService>;
  readonly httpAddress: string;
  stop(): Promise<void>;
}

/** A registry that does what it is told, a database, and as many orchestrators and agents as a test wants. */
export interface World {
  readonly registry: FakeRegistry;
  readonly token: string;
  sql<Row extends object = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  start(env?: Readonly<Record<string, string>>, ports?: Ports): Promise<Running>;
  /** An agent that is attached to `running` and that the registry knows as `desktop`. */
  agent(running: Running, desktop: FakeDesktop, options?: Omit<FakeAgentOptions, "token">): Promise<FakeAgent>;
  /** Ends what was started and empties the schema, so that tests of one file do not see each other. */
  reset(): Promise<void>;
  close(): Promise<void>;
}

export async function createWorld(label: string, connection?: string): Promise<World> {
  const database: TestDatabase | null = connection === undefined ? await createTestDatabase({ label }) : null;
  const connectionString = database?.connectionString ?? connection ?? "";
  const dir = await makeTempDir(label);
  const tokenFile = `${dir.path}/token`;
  const token = await ensureTokenFile(tokenFile);
  const registry = await startFakeRegistry(token);
  const started = new Set<Running>();
  const agents = new Set<FakeAgent>();

  async function endAll(): Promise<void> {
    for (const agent of agents) {
      agent.close();
      registry.remove(agent.agentId);
    }
    agents.clear();
    for (const running of started) await running.stop();
    started.clear();
  }

  return {
    registry,
    token,
    sql: async (text, values) => {
      if (database === null) throw new Error("this world has no database of its own");
      return database.sql(text, values);
    },
    async start(env = {}, ports = systemPorts) {
      const config = configOf({
        DATABASE_URL: connectionString,
        HEADROOM_DATA_DIR: dir.path,
        HEADROOM_TOKEN_FILE: tokenFile,
        HEADROOM_REGISTRY_ADDR: registry.address,
        HEADROOM_DRAIN_SECONDS: "1",
        ...env,
      });
      const running = await startOrchestrator(config, token, ports);
      started.add(running);
      return running;
    },
    async agent(running, desktop, options = {}) {
      const agent = createFakeAgent({ token, ...options });
      agents.add(agent);
      const address = running.orchestrator.grpcAddress;
      if (address === null) throw new Error("the orchestrator does not run");
      agent.connect(address);
      await waitUntil(() => agent.welcomed());
      registry.set(agent.agentId, desktop);
      return agent;
    },
    async reset() {
      await endAll();
      registry.onReserve(null);
      registry.clear();
      await dropSchema(connectionString);
    },
    async close() {
      await endAll();
      await registry.stop();
      await database?.drop();
      await dir.remove();
    },
  };
}

async function dropSchema(connection: string): Promise<void> {
  const database = createDatabase({
    connection,
    schema: "public",
    applicationName: "harness",
    logger: silentLogger,
    ports: systemPorts,
  });
  await database.knex.raw("DROP SCHEMA IF EXISTS orchestrator CASCADE");
  await database.close();
}

export function configOf(env: Readonly<Record<string, string>>): OrchestratorConfig {
  return loadConfigOrThrow(orchestratorConfig, {
    env: { HEADROOM_ORCHESTRATOR_GRPC_ADDR: "127.0.0.1:0", HEADROOM_ORCHESTRATOR_HTTP_ADDR: "127.0.0.1:0", ...env },
  }).values;
}

async function startOrchestrator(config: OrchestratorConfig, token: string, ports: Ports): Promise<Running> {
  const logger = captureLogger();
  const metrics = createMetrics({ processMetrics: false });
  const orchestrator = createOrchestrator(config, { logger, metrics, ports });
  await orchestrator.start();
  const { grpcAddress, httpAddress } = orchestrator;
  if (grpcAddress === null || httpAddress === null) throw new Error("the orchestrator does not listen");
  const channel: Channel = createChannel({ address: grpcAddress, ports: systemPorts, logger: silentLogger, token });
  return {
    orchestrator,
    logger,
    metrics,
    plans: createClient(wire.PlanServiceService, channel),
    queue: createClient(wire.PauseQueueServiceService, channel),
    httpAddress: `http://127.0.0.1:${httpAddress.port}`,
    async stop() {
      channel.close();
      await orchestrator.stop();
    },
  };
}

/** The value of a condition once it is neither false, null nor undefined. */
export { waitFor as waitUntil } from "@headroom/testing";
import { waitFor as waitUntil } from "@headroom/testing";

/** Waits until the orchestrator sees as many desktops online. */
export async function fleetSeen(running: Running, agentsOnline: number): Promise<void> {
  await waitUntil(async () => {
    const status = await running.queue.getQueueStatus(wire.GetQueueStatusRequest.fromPartial({}));
    if (!status.registryConnected) return false;
    const check = await running.queue.checkCapacity(wire.CheckCapacityRequest.fromPartial({}));
    return check.agentsOnline === agentsOnline;
  });
}

/** A plan of `count` tasks that are alike. */
export function planOf(
  count: number,
  needs: Partial<wire.ResourceNeeds> = {},
  task: Partial<wire.TaskSpec> = {},
): wire.DispatchPlanRequest {
  return wire.DispatchPlanRequest.fromPartial({
    plan: {
      name: "test plan",
      tasks: Array.from({ length: count }, (_, index) => ({
        name: `task-${index + 1}`,
        command: { argv: ["true"] },
        needs: { cpuCores: 1, ...needs },
        ...task,
      })),
    },
  });
}

export const taskOf = async (running: Running, taskId: string): Promise<wire.Task> => {
  const answer = await running.plans.getTask({ taskId });
  if (answer.task === undefined) throw new Error("no task in the answer");
  return answer.task;
};
/** A plan of one task. */
export const dispatchOne = async (
  running: Running,
  spec: Partial<wire.TaskSpec> = {},
): Promise<{ planId: string; taskId: string }> => {
  const { planId, tasks } = await running.plans.dispatchPlan(planOf(1, {}, spec));
  return { planId, taskId: tasks[0]?.taskId ?? "" };
};
export const grpcOf = (running: Running): HostPort => {
  const address = running.orchestrator.grpcAddress;
  if (address === null) throw new Error("not listening");
  return address;
};
