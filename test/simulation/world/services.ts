import { createOrchestrator, type OrchestratorConfig, orchestratorConfig } from "@headroom/orchestrator";
import { createRegistry, type RegistryConfig, registryConfig } from "@headroom/registry";
import { type AgentConfig, loadAgentConfig } from "@headroom/agent";
import { createMetrics, loadConfigOrThrow, type ManagedService } from "@headroom/runtime";
import type { SimPostgres } from "../database/sim-postgres.ts";
import type { Engine } from "../engine/engine.ts";
import type { SimProcess } from "../engine/sim-process.ts";
import type { SimNetwork } from "../network/sim-network.ts";
import { traceLogger } from "./trace-logger.ts";

export const registryAddress = "127.0.0.1:7401";
export const orchestratorAddress = "127.0.0.1:7411";
export const simToken = "token-of-the-simulation-alone";

export interface Configs {
  readonly registry: RegistryConfig;
  readonly orchestrator: OrchestratorConfig;
  readonly rarelyLooking: OrchestratorConfig;
  readonly agent: AgentConfig;
}

/** Read once: what a run must not do is look at files. */
export async function simConfigs(): Promise<Configs> {
  const env = {
    DATABASE_URL: "postgresql://simulated/none",
    HEADROOM_DATA_DIR: "/nonexistent",
    HEADROOM_TOKEN: simToken,
    HEADROOM_REGISTRY_ADDR: registryAddress,
    HEADROOM_ORCHESTRATOR_ADDR: orchestratorAddress,
    HEADROOM_REGISTRY_GRPC_ADDR: registryAddress,
    HEADROOM_ORCHESTRATOR_GRPC_ADDR: orchestratorAddress,
    HEADROOM_CLAIM_LEASE_SECONDS: "5",
    HEADROOM_DRAIN_SECONDS: "2",
    HEADROOM_OFFLINE_GRACE_SECONDS: "10",
    // Agents are cut off on purpose here, again and again.
    HEADROOM_FLAPS_TOLERATED: "1000",
    PAUSE_POLLING_INTERVAL_SECONDS: "10",
    PAUSE_CAPACITY_THRESHOLD_PERCENT: "0",
    HEADROOM_AGENT_STOP_GRACE_SECONDS: "1",
  };
  return {
    registry: loadConfigOrThrow(registryConfig, { env }).values,
    orchestrator: loadConfigOrThrow(orchestratorConfig, { env }).values,
    // Nothing of a run is found by such a poll.
    rarelyLooking: loadConfigOrThrow(orchestratorConfig, { env: { ...env, PAUSE_POLLING_INTERVAL_SECONDS: "3600" } })
      .values,
    agent: await loadAgentConfig({ env }),
  };
}

export interface ServiceOptions {
  readonly engine: Engine;
  readonly network: SimNetwork;
  readonly postgres: SimPostgres;
  readonly configs: Configs;
}

export function createSimRegistry(options: ServiceOptions, process: SimProcess): ManagedService {
  return createRegistry(options.configs.registry, {
    ports: process.ports,
    logger: traceLogger(options.engine, process),
    metrics: createMetrics({ processMetrics: false }),
    network: options.network.for(process),
    postgres: options.postgres.serverFor(process),
  });
}

export function createSimOrchestrator(
  options: ServiceOptions,
  process: SimProcess,
  looksRarely: boolean,
): ManagedService {
  const { orchestrator, rarelyLooking } = options.configs;
  return createOrchestrator(looksRarely ? rarelyLooking : orchestrator, {
    ports: process.ports,
    logger: traceLogger(options.engine, process),
    metrics: createMetrics({ processMetrics: false }),
    network: options.network.for(process),
    postgres: options.postgres.serverFor(process),
  });
}
