import {
  createGrpcRegistry,
  createOrchestrator,
  createPostgresStore,
  type Orchestrator,
  type OrchestratorConfig,
  orchestratorSchema,
  type RegistryPort,
} from "@headroom/orchestrator";
import { wire } from "@headroom/contracts";
import { createDatabase } from "@headroom/postgres";
import { createChannel, createClient, HeadroomError, type RpcClient } from "@headroom/rpc";
import { formatHostPort, type Ports, silentLogger, systemPorts } from "@headroom/runtime";
import { createFate, type Fate, type FateControl, underFate } from "./faulty-port.ts";

/** One orchestrator in this process, that can die and stand still. It comes back at the same address. */
export interface Replica {
  readonly name: string;
  readonly plans: RpcClient<typeof wire.PlanServiceService>;
  /** Of the life that runs now. */
  fate(): Fate;
  start(): Promise<void>;
  /** Takes away what is left of one that died; `start` brings the next. */
  bury(): Promise<void>;
  stop(): Promise<void>;
}

export interface ReplicaOptions {
  readonly name: string;
  readonly config: OrchestratorConfig;
  readonly token: string;
  /** How far its wall clock is off. */
  readonly clockOffsetMs: number;
  readonly watch: Watch;
}

/**
 * What comes of WatchCapacity: everything; the fleet as it was at first, and then nothing more; or nothing at all, each try being
 * refused.
 */
export type Watch = "whole" | "silent" | "refused";

/** Clock of a machine that somebody has set wrongly: durations are right, the time of day is not. */
export function offsetPorts(offsetMs: number): Ports {
  const { clock } = systemPorts;
  return { ...systemPorts, clock: { now: () => clock.now() + offsetMs, monotonic: () => clock.monotonic() } };
}

export function createReplica({ name, config, token, clockOffsetMs, watch }: ReplicaOptions): Replica {
  const ports = offsetPorts(clockOffsetMs);
  const channel = createChannel({
    address: formatHostPort(config.grpcAddr),
    ports,
    logger: silentLogger,
    token,
  });
  let fate: FateControl = createFate();
  let life: { readonly orchestrator: Orchestrator; end(): Promise<void> } | null = null;

  async function end(): Promise<void> {
    await life?.end();
    life = null;
  }

  return {
    name,
    plans: createClient(wire.PlanServiceService, channel),
    fate: () => fate,
    async start() {
      fate = createFate();
      const database = createDatabase({
        connection: config.databaseUrl,
        schema: orchestratorSchema,
        applicationName: name,
        logger: silentLogger,
        ports,
      });
      const toRegistry = createChannel({
        address: formatHostPort(config.registryAddr),
        ports,
        logger: silentLogger,
        token,
      });
      const orchestrator = createOrchestrator(config, {
        ports,
        store: underFate(createPostgresStore(database), fate),
        registry: registryUnderFate(createGrpcRegistry(toRegistry, ports.timers), fate, watch),
      });
      life = {
        orchestrator,
        async end() {
          await orchestrator.stop();
          toRegistry.close();
          await database.close();
        },
      };
      await orchestrator.start();
    },
    bury: end,
    async stop() {
      fate.thaw();
      await end();
      channel.close();
    },
  };
}

/** What is watched is heard late by one that stands still, and not at all by one that is dead. */
function registryUnderFate(registry: RegistryPort, fate: FateControl, watch: Watch): RegistryPort {
  return {
    ...underFate(registry, fate),
    async *watch(signal) {
      if (watch === "refused") {
        throw new HeadroomError({ code: "UNAVAILABLE", reason: "CUT_OFF", message: "the watch is cut off" });
      }
      for await (const change of registry.watch(signal)) {
        await fate.through(() => Promise.resolve());
        yield change;
        if (watch === "silent") await untilAborted(signal);
      }
    },
  };
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
