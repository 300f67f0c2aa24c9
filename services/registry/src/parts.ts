/** What the registry consists of, put together; nothing here runs yet. */
import type { Listener, Notifier } from "@headroom/postgres";
import { type Logger, type Metrics, type Ports, RunLoop } from "@headroom/runtime";
import { createAgentCredentials, type HeadroomError, unavailable } from "@headroom/rpc";
import { CardHistory, TaskMix } from "@headroom/scheduling";
import type { RegistryConfig } from "./config.ts";
import { createJoinTokens } from "./enrolment/join-tokens.ts";
import { Fleet } from "./fleet/fleet.ts";
import { CapacityIndex } from "./fleet/index/capacity-index.ts";
import { StoreClock } from "./fleet/store-clock.ts";
import { Admissions } from "./heartbeat/admissions.ts";
import { Pace } from "./heartbeat/pace.ts";
import type { SessionServices } from "./heartbeat/session.ts";
import { Sessions } from "./heartbeat/sessions.ts";
import { AgentStates } from "./placement/agent-states.ts";
import { Arrivals } from "./placement/arrivals.ts";
import { MixKeeper } from "./placement/mix-keeper.ts";
import { PlacementPolicies } from "./placement/placement-policies.ts";
import { Drains } from "./liveness/drains.ts";
import { LineBudget } from "./liveness/line-budget.ts";
import { Liveness } from "./liveness/liveness.ts";
import { Pulses } from "./liveness/pulses.ts";
import { Replicas } from "./liveness/replicas.ts";
import { createSampleNews, type SampleNews } from "./liveness/sample-news.ts";
import { StateWriter } from "./liveness/state-writer.ts";
import { Sweep } from "./liveness/sweep.ts";
import { livenessCounters, observeRegistry, reservationCounters } from "./registry-metrics.ts";
import { ReservationDesk } from "./reservations/desk.ts";
import { createLeaseLoop, purgeTombstones } from "./reservations/lease-loop.ts";
import type { HandlerDeps } from "./rpc/deps.ts";
import type { RegistryStore } from "./store/registry-store.ts";
import { CapacityFeed } from "./watch/capacity-feed.ts";

export interface PartsOptions {
  readonly config: RegistryConfig;
  /** The token of this Headroom, with which join tokens and credentials are signed. */
  readonly token: string;
  readonly store: RegistryStore;
  /** Null: no notifications, only looking. */
  readonly notifier: Notifier | null;
  readonly listener: Listener | null;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface Parts {
  readonly handlers: HandlerDeps;
  readonly sessionServices: SessionServices;
  readonly sessions: Sessions;
  readonly admissions: Admissions;
  readonly replicas: Replicas;
  readonly news: SampleNews;
  readonly pace: Pace;
  readonly sweep: RunLoop;
  readonly drains: Drains;
  readonly leases: RunLoop;
  readonly indexing: RunLoop;
  /** Takes the fleet over from the store; from then on agents are let in. */
  load(): Promise<void>;
  readonly isLoaded: boolean;
  /** Resolves when what other processes hold is known as they know it; from then on calls are answered. The loops run. Rejects when `signal` aborts. */
  meetOthers(signal: AbortSignal): Promise<void>;
  /** Why calls are not answered as they should be; null: they are. */
  readonly whyNotServing: string | null;
  /** All agents that were in the fleet at the start have come back or have been given up. */
  readonly isWarm: boolean;
}

/** What the index takes in each second without being asked: about 20 ms of work, and more than a process's target rate of beats brings. */
const INDEXED_UNASKED = 2_000;

const CUT_OFF =
  "this registry process has not reached its database for 15 s or longer: it can promise nothing, and does not know what other registry processes do";

/** Orchestrators that hear it look for another process behind the same name, and come back if there is none. */
function cutOffError(): HeadroomError {
  return unavailable("DATABASE_UNAVAILABLE", CUT_OFF, 1_000);
}

function startingError(text: string): HeadroomError {
  return unavailable("REGISTRY_STARTING", text, 1_000);
}

export function createParts(options: PartsOptions): Parts {
  const { config, store, ports, logger, metrics } = options;
  const { heartbeatIntervalMs, offlineGraceMs, flapsTolerated } = config;
  const replicaId = ports.random.uuid();
  const fleet = new Fleet(replicaId);
  const index = new CapacityIndex(fleet);
  const states = new AgentStates(fleet);
  const experience = { mix: new TaskMix(), history: new CardHistory() };
  const keeper = new MixKeeper({ mix: experience.mix, store, ports, logger });
  const policies = new PlacementPolicies(config.placementPolicy, states, experience);
  const storeClock = new StoreClock(ports.clock);
  const pulses = new Pulses();
  const sessions = new Sessions();
  const pace = new Pace(sessions, heartbeatIntervalMs);
  const feed = new CapacityFeed(fleet);
  const onBeatsWritten = (): void => news.written();
  const hasReaders = (): boolean => replicas.hasOthers;
  const writer = new StateWriter({
    replicaId,
    fleet,
    pulses,
    store,
    storeClock,
    ports,
    logger,
    hasReaders,
    onBeatsWritten,
  });
  const { onFlap, onRefused } = livenessCounters(metrics);
  const liveness = new Liveness({
    replicaId,
    fleet,
    pulses,
    writer,
    storeClock,
    clock: ports.clock,
    logger,
    flapsTolerated,
    onFlap,
  });
  const admissions = new Admissions({ store, storeClock, random: ports.random, onRefused });
  const replicas = new Replicas({
    replicaId,
    fleet,
    store,
    storeClock,
    liveness,
    pulses,
    ports,
    logger,
    intervalMsOf: (agentsHeld) => pace.intervalMsOf(agentsHeld),
    onLossesConfirmed: () => sweep.confirmLosses(),
    onMovedAway: ({ agentId }) => sessions.of(agentId)?.supersede(),
    onDisputed: (agentId) => writer.statusChanged(agentId),
    onCutOff: () => feed.interrupt(cutOffError()),
    onCaughtUp: () => feed.resume(),
  });
  const { notifier, listener } = options;
  const news = createSampleNews({ replicaId, replicas, notifier, listener });
  const desk = new ReservationDesk({
    fleet,
    store,
    storeClock,
    logger,
    takeLoaded: (agents) => replicas.take(agents),
    onTooManyUnknown(agentId, epoch) {
      const session = sessions.of(agentId);
      if (session?.epoch === epoch) session.refuseUnknown();
    },
    ...reservationCounters(metrics),
  });
  const drains = new Drains({ fleet, store, storeClock, desk, logger });
  const sweep = new Sweep({
    fleet,
    pulses,
    liveness,
    writer,
    drains,
    storeClock,
    ports,
    logger,
    intervalMs: () => pace.intervalMs,
    graceMs: offlineGraceMs,
    replicaId,
    isHeldElsewhere: (agent) => replicas.isHeldElsewhere(agent),
    onOffline: (agentId) => sessions.of(agentId)?.giveUp(),
  });
  observeRegistry(metrics, {
    fleet,
    sessions,
    pulses,
    writer,
    feed,
    admissions,
    sweep,
    isConnected: () => isLoaded && !replicas.isCutOff,
    monotonicMs: () => ports.clock.monotonic(),
  });

  let isLoaded = false;
  let loadedAtMs = 0;
  let hasMetOthers = false;
  const requireLoaded = (): void => {
    if (!isLoaded)
      throw startingError("the registry has just started and waits for its database; its log says for what");
  };
  const requireReady = (): void => {
    requireLoaded();
    if (!hasMetOthers)
      throw startingError("the registry has just started and finds out which other registry processes live");
  };

  async function load(): Promise<void> {
    // What became due while no registry ran would be read for nothing.
    while ((await purgeTombstones(store)).areMoreDue) continue;
    const loaded = await store.loadFleet(null);
    storeClock.observe(loaded.nowMs);
    // All are doubted: only this process believes so, and nothing is written, for another one may hold them and know better.
    replicas.begin(loaded);
    await replicas.refresh();
    await keeper.keep();
    loadedAtMs = ports.clock.monotonic();
    isLoaded = true;
    const known = loaded.agents.length;
    logger.info({ agents: known, replica_id: replicaId }, `${known} agents are known`);
  }

  async function meetOthers(signal: AbortSignal): Promise<void> {
    await replicas.meetOthers(signal);
    hasMetOthers = true;
  }

  const handlers: HandlerDeps = {
    replicaId,
    get heartbeatIntervalMs() {
      return pace.intervalMs;
    },
    joinTokens: createJoinTokens(options.token),
    credentials: createAgentCredentials(options.token),
    placement: { policies, states, arrivals: new Arrivals(experience), experience, keeper },
    fleet,
    index,
    pulses,
    liveness,
    writer,
    desk,
    feed,
    store,
    storeClock,
    clock: ports.clock,
    timers: ports.timers,
    random: ports.random,
    sweep,
    requireReady,
    catchUp: () => replicas.catchUp(),
  };
  return {
    handlers,
    sessions,
    admissions,
    replicas,
    news,
    pace,
    sweep: sweep.loop,
    drains,
    leases: createLeaseLoop({ desk, store, ports, logger }),
    indexing: new RunLoop({
      name: "capacity-index",
      ports,
      intervalMs: 1_000,
      run: () => {
        index.refreshSome(INDEXED_UNASKED);
        states.refreshSome(INDEXED_UNASKED);
      },
      onError: (error) => logger.error({ err: error }, "the index could not take in what agents said"),
    }),
    sessionServices: {
      replicaId,
      get intervalMs() {
        return pace.intervalMs;
      },
      fleet,
      pulses,
      liveness,
      writer,
      desk,
      admissions,
      sessions,
      storeClock,
      helloLines: new LineBudget(),
      ports,
      requireReady: requireLoaded,
    },
    load,
    get isLoaded() {
      return isLoaded;
    },
    meetOthers,
    get whyNotServing() {
      if (!isLoaded) return "waiting for the database";
      if (!hasMetOthers) return "finding out which other registry processes live";
      return replicas.isCutOff ? CUT_OFF : null;
    },
    get isWarm() {
      if (!isLoaded) return false;
      if (ports.clock.monotonic() - loadedAtMs >= offlineGraceMs) return true;
      return ![...fleet.agents()].some((agent) => agent.status === "unknown");
    },
  };
}
