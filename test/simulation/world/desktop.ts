import {
  type AgentConfig,
  type AgentOverrides,
  createAgent,
  journalContent,
  type Journal,
  type ProcessRunner,
  type Sampler,
  type SleepSource,
} from "@headroom/agent";
import { wire } from "@headroom/contracts";
import { createClient, type Network } from "@headroom/rpc";
import { createClock, createSuspendMeter, type Logger, type ManagedService } from "@headroom/runtime";
import type { Engine } from "../engine/engine.ts";
import type { SimProcess } from "../engine/sim-process.ts";
import type { Machine } from "./machine.ts";
import { traceLogger } from "./trace-logger.ts";

export interface DesktopOptions {
  readonly engine: Engine;
  readonly machine: Machine;
  readonly config: AgentConfig;
  readonly network: Network;
  readonly process: SimProcess;
  readonly token: string;
  /** Default: into the trace. */
  readonly logger?: Logger;
}

/** The real agent program on a simulated machine. */
export function createDesktopAgent(options: DesktopOptions): ManagedService {
  const { engine, machine, config, network, process, token } = options;
  const sources = machine.clockSources(process);
  const ports = { ...process.ports, clock: createClock(sources) };
  const { logger = traceLogger(engine, process) } = options;
  const channelTo = (address: { host: string; port: number }) => network.channel({ address, ports, logger, token });
  const overrides: AgentOverrides = {
    ports,
    logger,
    env: {},
    home: { open: () => Promise.resolve(machine.countStart()), close: () => Promise.resolve() },
    journal: machineJournal(engine, machine, process),
    stores: machine.stores,
    runner: machineRunner(engine, machine, process),
    sampler: machineSampler(machine, process),
    sleepSource: machineSleep(machine, process),
    suspendMeter: createSuspendMeter(sources),
    readOwnerHold: () => Promise.resolve(machine.ownerHold),
    connections: {
      openHeartbeat() {
        const client = createClient(wire.AgentServiceService, channelTo(config.registryAddr));
        return Promise.resolve(() => client.heartbeat());
      },
      openAttach() {
        const client = createClient(wire.WorkServiceService, channelTo(config.orchestratorAddr));
        return Promise.resolve(() => client.attach());
      },
      enroll: () => Promise.reject(new Error("agents of the simulation have their token")),
      close: () => undefined,
    },
  };
  return createAgent(config, overrides);
}

function machineSleep(machine: Machine, process: SimProcess): SleepSource {
  return {
    start(listener) {
      machine.sleepListener = listener;
      process.onDeath(() => {
        if (machine.sleepListener === listener) machine.sleepListener = null;
      });
    },
    stop() {
      machine.sleepListener = null;
      return Promise.resolve();
    },
  };
}

function machineJournal(engine: Engine, machine: Machine, process: SimProcess): Journal {
  let lastMs = 0;
  return {
    open: () => Promise.resolve(journalContent(machine.records)),
    append(record) {
      const sync = machine.write(record);
      // One after the other, as one file has them.
      lastMs = Math.max(lastMs, engine.nowMs + 0.5 + engine.random.next() * 4);
      return new Promise((resolve) => {
        engine.schedule(lastMs - engine.nowMs, null, `${machine.name} syncs`, sync);
        engine.schedule(lastMs - engine.nowMs, process, `journalled ${record.kind}`, resolve);
      });
    },
    close: () => Promise.resolve(),
  };
}

function machineRunner(engine: Engine, machine: Machine, process: SimProcess): ProcessRunner {
  return {
    start: (spec, sink) =>
      new Promise((resolve) => {
        engine.schedule(1 + engine.random.next() * 5, process, "spawned", () => {
          const run = machine.start(process, spec);
          if (engine.random.next() < 0.2) void sink("stdout", Buffer.from(`${spec.attemptId} says hello\n`));
          resolve({ kind: "started", run });
        });
      }),
    endLeftover: ({ pid, startToken }) =>
      new Promise((resolve) => {
        engine.schedule(20, process, "leftover ended", () => resolve(machine.endLeftover(pid, startToken)));
      }),
  };
}

function machineSampler(machine: Machine, process: SimProcess): Sampler {
  return {
    start: () => Promise.resolve(),
    sample: (attempts) =>
      Promise.resolve(
        machine.sample(
          process.ports.clock.now(),
          attempts.map(({ attemptId, fence, reserved }) =>
            wire.AttemptUse.fromPartial({
              attemptId,
              fence,
              cpuMillicores: Math.floor((reserved.cpuMillicores * machine.overuse) / 2),
              memoryMib: Math.floor((reserved.memoryMib * machine.overuse) / 2),
              cards: reserved.cards.map(({ cardId, vramMib, exclusive }) => ({
                cardId,
                vramMib: Math.floor((vramMib * machine.overuse) / 2),
                exclusive,
              })),
            }),
          ),
        ),
      ),
    watchPeaks: () => Promise.resolve(),
    takeTotal: () => ({ cpuMs: 10, memoryPeakMib: 10, vramPeakMib: 0 }),
  };
}
