/** Registry and orchestrator as they run for a fleet: TLS, one shared token, and agents that have neither. */
import { type Agent, createAgent, loadAgentConfig } from "@headroom/agent";
import { wire } from "@headroom/contracts";
import { createOrchestrator, orchestratorConfig } from "@headroom/orchestrator";
import { createRegistry, registryConfig } from "@headroom/registry";
import { type Channel, createChannel, createClient } from "@headroom/rpc";
import { formatHostPort, loadConfigOrThrow, silentLogger, systemPorts } from "@headroom/runtime";
import {
  type CapturingLogger,
  captureLogger,
  createTestDatabase,
  makeTempDir,
  writeCertificates,
} from "@headroom/testing";
import { randomUUID } from "node:crypto";

export const token = "the-token-of-the-fleet-under-test";

export type Cleanup = () => unknown;

export async function startFleet(cleanups: Cleanup[]) {
  const database = await createTestDatabase({ label: "enrolment" });
  cleanups.push(() => database.drop());
  const dir = await makeTempDir("enrolment");
  cleanups.push(() => dir.remove());
  const files = writeCertificates(dir.path);
  const env = {
    DATABASE_URL: database.connectionString,
    HEADROOM_DATA_DIR: dir.path,
    HEADROOM_TOKEN: token,
    HEADROOM_TLS_CERT_FILE: files.serverCertFile,
    HEADROOM_TLS_KEY_FILE: files.serverKeyFile,
    HEADROOM_DRAIN_SECONDS: "0.5",
  };
  const registry = createRegistry(
    loadConfigOrThrow(registryConfig, {
      env: { ...env, HEADROOM_REGISTRY_GRPC_ADDR: "127.0.0.1:0", HEADROOM_REGISTRY_HTTP_ADDR: "127.0.0.1:0" },
    }).values,
    { logger: silentLogger },
  );
  cleanups.push(() => registry.stop());
  await registry.start();
  // The certificate names localhost.
  const registryAddr = formatHostPort({ host: "localhost", port: registry.grpcAddress?.port ?? 0 });
  const orchestrator = createOrchestrator(
    loadConfigOrThrow(orchestratorConfig, {
      env: {
        ...env,
        HEADROOM_ORCHESTRATOR_GRPC_ADDR: "127.0.0.1:0",
        HEADROOM_ORCHESTRATOR_HTTP_ADDR: "127.0.0.1:0",
        HEADROOM_REGISTRY_ADDR: registryAddr,
        HEADROOM_TLS_CA_FILE: files.caFile,
      },
    }).values,
    { logger: silentLogger },
  );
  cleanups.push(() => orchestrator.stop());
  await orchestrator.start();
  const orchestratorAddr = formatHostPort({ host: "localhost", port: orchestrator.grpcAddress?.port ?? 0 });

  const connect = (address: string, shown: string | undefined): Channel => {
    const channel = createChannel({
      address,
      ports: systemPorts,
      logger: silentLogger,
      tls: { caFile: files.caFile },
      ...(shown !== undefined && { token: shown }),
    });
    cleanups.push(() => channel.close());
    return channel;
  };
  const fleet = createClient(wire.FleetServiceService, connect(registryAddr, token));

  /** An agent on another machine: a data folder of its own, the CA's certificate, and no token. */
  async function makeAgent(
    agentDir: string,
    settings: Readonly<Record<string, string>> = {},
  ): Promise<{ agent: Agent; logger: CapturingLogger }> {
    const agentEnv = {
      HEADROOM_DATA_DIR: agentDir,
      HEADROOM_REGISTRY_ADDR: registryAddr,
      HEADROOM_ORCHESTRATOR_ADDR: orchestratorAddr,
      HEADROOM_TLS_CA_FILE: files.caFile,
      HEADROOM_AGENT_DECLARE_CPU_CORES: "2",
      HEADROOM_AGENT_DECLARE_MEMORY_GB: "4",
      ...settings,
    };
    const logger = captureLogger();
    const agent = createAgent(await loadAgentConfig({ env: agentEnv }), { logger });
    cleanups.push(() => agent.stop());
    return { agent, logger };
  }

  return {
    registryAddr,
    orchestratorAddr,
    fleet,
    plans: createClient(wire.PlanServiceService, connect(orchestratorAddr, token)),
    /** Calls of somebody who shows this, or nothing. */
    heartbeatAs: (shown?: string) => connect(registryAddr, shown),
    workAs: (shown?: string) => connect(orchestratorAddr, shown),
    makeAgent,
    joinToken: async (options: Partial<wire.CreateJoinTokenRequest> = {}) =>
      fleet.createJoinToken(wire.CreateJoinTokenRequest.fromPartial(options)),
    enroll: (request: Partial<wire.EnrollAgentRequest>) =>
      createClient(wire.AgentServiceService, connect(registryAddr, undefined)).enrollAgent(
        wire.EnrollAgentRequest.fromPartial({ agentId: randomUUID(), ...request }),
      ),
  };
}

export type FleetUnderTest = Awaited<ReturnType<typeof startFleet>>;
