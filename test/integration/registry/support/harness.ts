/** A registry on real sockets and a real PostgreSQL, with clients for all it offers. */
import { wire } from "@headroom/contracts";
import {
  createRegistry,
  type Registry,
  type RegistryConfig,
  registryConfig,
  type RegistryOverrides,
} from "@headroom/registry";
import { type Channel, createChannel, createClient, type RpcClient } from "@headroom/rpc";
import { formatHostPort, loadConfigOrThrow, silentLogger, systemPorts } from "@headroom/runtime";
import { type CapturingLogger, captureLogger, makeTempDir, waitFor } from "@headroom/testing";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { FakeAgent, type FakeAgentOptions } from "./fake-agent.ts";

export interface RegistryUnderTest {
  readonly registry: Registry;
  readonly logger: CapturingLogger;
  readonly channel: Channel;
  readonly capacity: RpcClient<typeof wire.CapacityServiceService>;
  readonly fleet: RpcClient<typeof wire.FleetServiceService>;
  readonly token: string;
  /** "http://127.0.0.1:PORT" */
  readonly restUrl: string;
  /** Another connection, as another process has it. */
  connect(): Channel;
  agent(options?: FakeAgentOptions): FakeAgent;
  /** An agent that has been welcomed. */
  join(options?: FakeAgentOptions): Promise<FakeAgent>;
  statusOf(agentId: string): Promise<wire.AgentStatus>;
  untilStatus(agentId: string, status: wire.AgentStatus): Promise<void>;
  stop(): Promise<void>;
}

export interface HarnessOptions {
  readonly databaseUrl: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly overrides?: RegistryOverrides;
  /** False: answers before the start is over. */
  readonly waitForStart?: boolean;
}

export function configOf(
  databaseUrl: string,
  dataDir: string,
  env: Readonly<Record<string, string>> = {},
): RegistryConfig {
  return loadConfigOrThrow(registryConfig, {
    env: {
      DATABASE_URL: databaseUrl,
      HEADROOM_DATA_DIR: dataDir,
      HEADROOM_REGISTRY_GRPC_ADDR: "127.0.0.1:0",
      HEADROOM_REGISTRY_HTTP_ADDR: "127.0.0.1:0",
      HEADROOM_DRAIN_SECONDS: "1",
      ...env,
    },
  }).values;
}

export async function startRegistry(options: HarnessOptions): Promise<RegistryUnderTest> {
  const dir = await makeTempDir("registry");
  const logger = captureLogger();
  const registry = createRegistry(configOf(options.databaseUrl, dir.path, options.env), {
    logger,
    ...options.overrides,
  });
  const started = registry.start();
  if (options.waitForStart === false) {
    started.catch(() => undefined);
    await waitFor(() => registry.grpcAddress !== null && registry.httpAddress !== null, { describe: "open ports" });
  } else {
    await started;
  }
  const token = options.env?.["HEADROOM_TOKEN"] ?? (await readFile(join(dir.path, "token"), "utf8")).trim();
  const address = registry.grpcAddress!;
  const channels: Channel[] = [];
  const connect = (): Channel => {
    const channel = createChannel({ address, token, ports: systemPorts, logger: silentLogger, userAgent: "test" });
    channels.push(channel);
    return channel;
  };
  const channel = connect();
  const fleet = createClient(wire.FleetServiceService, channel);
  const agent = (agentOptions?: FakeAgentOptions): FakeAgent => new FakeAgent(channel, agentOptions);
  const statusOf = async (agentId: string): Promise<wire.AgentStatus> =>
    (await fleet.getAgent({ agentId })).agent!.status;
  return {
    registry,
    logger,
    channel,
    capacity: createClient(wire.CapacityServiceService, channel),
    fleet,
    token,
    restUrl: `http://${formatHostPort(registry.httpAddress!)}`,
    connect,
    agent,
    async join(agentOptions) {
      const joined = agent(agentOptions);
      await joined.join();
      return joined;
    },
    statusOf,
    async untilStatus(agentId, status) {
      await waitFor(async () => (await statusOf(agentId)) === status, { describe: `status ${status} of ${agentId}` });
    },
    async stop() {
      await registry.stop();
      for (const opened of channels) opened.close();
      await dir.remove();
    },
  };
}

/** What a request for room looks like; amounts in cores and GiB. */
export function reserveOf(
  attemptId: string,
  needs: Partial<wire.ResourceNeeds> = {},
  overrides: Partial<wire.Reserve> = {},
): wire.Reserve {
  return wire.Reserve.fromPartial({
    attemptId,
    fence: 1,
    needs: wire.ResourceNeeds.fromPartial({ cpuCores: 1, ...needs }),
    taskId: `task-${attemptId.slice(0, 4)}`,
    planId: "plan-1",
    ...overrides,
  });
}
