import {
  silentLogger,
  systemPorts,
  systemSuspendMeter,
  type Logger,
  type Ports,
  type SuspendMeter,
} from "@headroom/runtime";
import type { AgentConfig } from "./config/config.ts";
import { grpcConnections, type Connections } from "./connection/open-stream.ts";
import { credentialPath } from "./enrolment/credential-file.ts";
import { agentHome, agentPaths, type AgentHome } from "./home.ts";
import { fileJournal } from "./journal/file-journal.ts";
import type { Journal } from "./journal/journal.ts";
import { fileOutputStores } from "./output/file-segments.ts";
import type { OutputStores } from "./output/segment-store.ts";
import { ownerHoldFile, type ReadOwnerHold } from "./owner-hold.ts";
import type { ProcessTable } from "./processes/process-table.ts";
import { systemProcessTable } from "./processes/system-table.ts";
import type { ProcessRunner } from "./runner/runner.ts";
import { systemRunner } from "./runner/system-runner.ts";
import { amdProbe } from "./sampling/amd.ts";
import { cpuMemoryMeter } from "./sampling/cpu-memory.ts";
import { declaredProbe } from "./sampling/declared.ts";
import { combinedProbe, type GpuProbe } from "./sampling/gpu.ts";
import { machineSampler } from "./sampling/machine-sampler.ts";
import { nvidiaProbe } from "./sampling/nvidia/nvidia.ts";
import { logindSleepSource } from "./sleep/logind.ts";
import { silentSleepSource, type SleepSource } from "./sleep/sleep-source.ts";
import type { Sampler } from "./sampling/sampler.ts";

/** What the agent takes from the outside; a simulation or a test gives its own of any of them. */
export interface AgentParts {
  readonly ports: Ports;
  readonly logger: Logger;
  readonly home: AgentHome;
  readonly journal: Journal;
  readonly stores: OutputStores;
  readonly runner: ProcessRunner;
  readonly sampler: Sampler;
  readonly connections: Connections;
  readonly readOwnerHold: ReadOwnerHold;
  readonly sleepSource: SleepSource;
  readonly suspendMeter: SuspendMeter;
}

export interface AgentOverrides extends Partial<AgentParts> {
  readonly processes?: ProcessTable;
  /** The agent's own environment; what runs inherits most of it. Default: the process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** The real parts, where none is given. */
export function agentParts(config: AgentConfig, overrides: AgentOverrides): AgentParts {
  const ports = overrides.ports ?? systemPorts;
  const logger = overrides.logger ?? silentLogger;
  const env = overrides.env ?? process.env;
  const processes = overrides.processes ?? systemProcessTable({ logger });
  const paths = agentPaths(config.agentDir);
  const sampler = (): Sampler =>
    machineSampler({
      ports,
      processes,
      meter: cpuMemoryMeter({ clock: ports.clock }),
      gpus: gpuProbe(config, ports, logger, env),
      declared: config.declared,
      offer: config.offer,
    });
  return {
    ports,
    logger,
    home: overrides.home ?? agentHome(config.agentDir, ports),
    journal: overrides.journal ?? fileJournal({ path: paths.journal, logger, timers: ports.timers }),
    stores: overrides.stores ?? fileOutputStores(paths.spoolDir, logger),
    runner: overrides.runner ?? systemRunner({ ports, logger, processes, freshDir: paths.freshDir, env }),
    sampler: overrides.sampler ?? sampler(),
    sleepSource:
      overrides.sleepSource ??
      (process.platform === "linux" ? logindSleepSource({ ports, logger, env }) : silentSleepSource),
    readOwnerHold: overrides.readOwnerHold ?? ownerHoldFile(config.agentDir),
    suspendMeter: overrides.suspendMeter ?? systemSuspendMeter(),
    connections:
      overrides.connections ??
      grpcConnections({ ...config, credentialFile: credentialPath(config.agentDir), ports, logger }),
  };
}

function gpuProbe(
  config: AgentConfig,
  ports: Ports,
  logger: Logger,
  env: Readonly<Record<string, string | undefined>>,
): GpuProbe {
  if (config.declared.cards !== null) return declaredProbe(config.declared.cards);
  return combinedProbe([nvidiaProbe({ ports, logger, env }), amdProbe({ clock: ports.clock, logger })]);
}
