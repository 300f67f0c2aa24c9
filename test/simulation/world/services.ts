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
  /** Losses of its fleet are given up soon. */
  readonly hastyRegistry: RegistryConfig;
  /** As in production: whoever falls out again and again is on probation. */
  readonly strictRegistry: RegistryConfig;
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
    hastyRegistry: loadConfigOrThrow(registryConfig, { env: { ...env, HEADROOM_OFFLINE_GRACE_SECONDS: "3" } }).values,
    strictRegistry: loadConfigOrThrow(registryConfig, { env: { ...env, HEADROOM_FLAPS_TOLERATED: "3" } }).values,
    orchestrator: loadConfigOrThrow(orchestratorConfig, { env }).values,
    agent: await loadAgentConfig({ env }),
  };
}

export interface ServiceOptions {
  readonly engine: Engine;
  readonly network: SimNetwork;
  readonly postgres: SimPostgres;
  readonly configs: Configs;
}

/** Nothing of a run is found by such a poll. */
const rarelyMs = 3_600_000;

/** What the worlds' orchestrators differ in. */
export interface OrchestratorTemper {
  /** They hardly ever look by themselves. */
  readonly looksRarely: boolean;
  /** Below this fraction on every agent work pauses. */
  readonly threshold: number;
}

export function createSimRegistry(
  options: ServiceOptions,
  process: SimProcess,
  config: RegistryConfig,
): ManagedService {
  return createRegistry(config, {
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
  temper: OrchestratorTemper,
): ManagedService {
  const { orchestrator } = options.configs;
  const config: OrchestratorConfig = {
    ...orchestrator,
    ...(temper.looksRarely && { pollingIntervalMs: rarelyMs }),
    pauseThreshold: temper.threshold,
  };
  return createOrchestrator(config, {
    ports: process.ports,
    logger: traceLogger(options.engine, process),
    metrics: createMetrics({ processMetrics: false }),
    network: options.network.for(process),
    postgres: options.postgres.serverFor(process),
  });
}
