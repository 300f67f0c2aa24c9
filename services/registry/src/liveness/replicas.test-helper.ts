/** One registry process, in virtual time, and what the store says of another one. */
import { sleep } from "@headroom/runtime";
import { captureLogger, manualPorts } from "@headroom/testing";
import { Fleet } from "../fleet/fleet.ts";
import { StoreClock } from "../fleet/store-clock.ts";
import { Pace } from "../heartbeat/pace.ts";
import { ReservationDesk } from "../reservations/desk.ts";
import { storeStub } from "../store-stub.test-helper.ts";
import type { ReplicaLease } from "../store/registry-store.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import { agentWith } from "../test-agents.test-helper.ts";
import { Drains } from "./drains.ts";
import { Liveness } from "./liveness.ts";
import { Pulses } from "./pulses.ts";
import { Replicas } from "./replicas.ts";
import { StateWriter } from "./state-writer.ts";
import { Sweep } from "./sweep.ts";

export const OTHER = "00000000-0000-4000-8000-0000000000ff";
export const LEASE_MS = 5_000;

/** This process, which holds nobody, and what the store says of another one that holds an agent. */
export function setUp({ shortestIntervalMs = 5_000 } = {}) {
  const ports = manualPorts();
  const logger = captureLogger();
  const fleet = new Fleet("this");
  const storeClock = new StoreClock(ports.clock);
  /** The store's clock against this process's, which may be set. */
  const storeIs = { aheadMs: 0 };
  const nowMs = (): number => ports.clock.now() + storeIs.aheadMs;
  const other = {
    agents: [agentWith({ replicaId: OTHER })] as StoredAgent[],
    leaseMs: nowMs(),
    isAlive: true,
    hasStopped: false,
  };
  const database = {
    isAway: false,
    renewals: 0,
    loads: 0,
    lossesConfirmedAtMs: null as number | null,
    /** Told of each load. */
    reading: (_what: "fleet" | "changes"): void => undefined,
    /** Comes between a load and its answer. */
    whileLoading: (): void => undefined,
    loadMs: 0,
    /** Statuses that this process wrote. */
    written: [] as string[],
  };
  const load = async (what: "fleet" | "changes") => {
    database.loads += 1;
    database.reading(what);
    const loaded = { agents: other.agents, removedAgentIds: [], nowMs: nowMs() };
    database.whileLoading();
    if (database.loadMs > 0) await sleep(ports.timers, database.loadMs);
    return loaded;
  };
  const store = storeStub({
    writeStatuses: (writes) => {
      database.written.push(...writes.map(({ agentId, status }) => `${agentId} ${status}`));
      return Promise.resolve({ nowMs: nowMs() });
    },
    renewReplica: () => {
      if (database.isAway) return Promise.reject(new Error("away"));
      database.renewals += 1;
      // It renews each second, to the last before it dies.
      if (other.isAlive) other.leaseMs = nowMs() + LEASE_MS;
      const lease: ReplicaLease = { replicaId: OTHER, leaseExpiresAtMs: other.leaseMs };
      const replicas = other.hasStopped ? [] : [lease];
      return Promise.resolve({ replicas, lossesConfirmedAtMs: database.lossesConfirmedAtMs, nowMs: nowMs() });
    },
    loadFleet: () => load("fleet"),
    loadChangedSince: () => load("changes"),
  });
  const pulses = new Pulses();
  const writer = new StateWriter({
    replicaId: "here",
    fleet,
    pulses,
    store,
    storeClock,
    ports,
    logger,
    hasReaders: () => false,
    onBeatsWritten: () => undefined,
  });
  const liveness = new Liveness({
    replicaId: "this",
    fleet,
    pulses,
    writer,
    storeClock,
    clock: ports.clock,
    logger,
    flapsTolerated: 3,
  });
  const pace = new Pace({ size: 0 }, shortestIntervalMs);
  const desk = new ReservationDesk({ fleet, store, storeClock, logger, takeLoaded: () => undefined });
  const sweep = new Sweep({
    fleet,
    pulses,
    liveness,
    writer,
    drains: new Drains({ fleet, store, storeClock, desk, logger }),
    storeClock,
    ports,
    logger,
    intervalMs: () => pace.intervalMs,
    graceMs: 30_000,
    replicaId: "this",
    isHeldElsewhere: (agent) => replicas.isHeldElsewhere(agent),
    onOffline: () => undefined,
  });
  const disputed: string[] = [];
  /** What whoever serves was told of the way to the store. */
  const told: string[] = [];
  let confirmations = 0;
  const replicas = new Replicas({
    replicaId: "this",
    fleet,
    store,
    storeClock,
    liveness,
    pulses,
    ports,
    logger,
    intervalMsOf: (agentsHeld) => pace.intervalMsOf(agentsHeld),
    onLossesConfirmed: () => (confirmations += 1),
    onMovedAway: () => undefined,
    onDisputed: (agentId) => disputed.push(agentId),
    onCutOff: () => told.push("cut off"),
    onCaughtUp: () => told.push("caught up"),
  });
  const seen = (): StoredAgent | undefined => fleet.get(agentWith().agentId);
  return {
    writer,
    sweep,
    pulses,
    ports,
    logger,
    other,
    database,
    storeIs,
    replicas,
    seen,
    fleet,
    disputed,
    told,
    confirmations: () => confirmations,
  };
}
