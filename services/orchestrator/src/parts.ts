/** How the parts of an orchestrator hang together. Nothing here starts by itself. */
import type { Listener, Notifier } from "@headroom/postgres";
import type { Logger, ManagedService, Metrics, Ports, Service } from "@headroom/runtime";
import { DEFAULT_HOLD_RULES } from "@headroom/scheduling";
import { createAcceptor } from "./accept/acceptor.ts";
import type { OrchestratorConfig } from "./config.ts";
import { createChangeHub } from "./events/change-hub.ts";
import { createDurations } from "./estimates/durations.ts";
import { createFleetView, type FleetView } from "./fleet-view/fleet-view.ts";
import { createSweep } from "./lost/sweep.ts";
import { createOrchestratorMetrics, registerGauges } from "./orchestrator-metrics.ts";
import { createQueueCounter } from "./operate/queue-counter.ts";
import { createQueueHoldView } from "./operate/queue-hold-view.ts";
import { createRetention } from "./operate/retention.ts";
import { createWaitTimeouts } from "./operate/wait-timeouts.ts";
import { createAvoidedAgents } from "./placing/avoided-agents.ts";
import { ClaimEnds } from "./placing/claim-ends.ts";
import { createGate } from "./placing/gate.ts";
import { createKeptRoom } from "./placing/kept-room.ts";
import { createPlacer } from "./placing/placer.ts";
import { createReleaser } from "./placing/releaser.ts";
import { createSharedAvoidance } from "./placing/shared-avoidance.ts";
import type { RegistryPort } from "./registry/port.ts";
import { createResumeLoop, type ResumeLoop } from "./resume/resume-loop.ts";
import { createRefusals } from "./resume/refusals.ts";
import { createResumer } from "./resume/resumer.ts";
import { createStamper } from "./resume/stamper.ts";
import { createStillNever } from "./resume/still-never.ts";
import type { HandlerDeps } from "./rpc/deps.ts";
import { mapStoreError } from "./rpc/map-store-error.ts";
import type { DatabaseWatch } from "./store/database-watch.ts";
import type { Claimer, OrchestratorStore } from "./store/port.ts";
import { createAgentMessages } from "./work/agent-messages.ts";
import { createDeliveryLoop } from "./work/delivery-loop.ts";
import { createSessions, type Sessions } from "./work/sessions.ts";
import { createSettle, type Settle } from "./work/settlement.ts";

export interface PartsOptions {
  readonly config: OrchestratorConfig;
  /** This replica, new at each start: its claims are told apart from those of an earlier life. */
  readonly instance: string;
  readonly store: OrchestratorStore;
  /** Whether the database behind the store answers. */
  readonly watch: DatabaseWatch;
  readonly registry: RegistryPort;
  readonly notifier: Notifier;
  readonly listener: Listener | null;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface Parts {
  readonly deps: HandlerDeps;
  readonly fleet: FleetView;
  readonly sessions: Sessions;
  readonly loop: ResumeLoop;
  /** What lives long, in the order in which it starts. */
  readonly services: readonly Service[];
}

/** Sweeps and deliveries are cheap: after an error they need not wait as long as a pass over the queue. */
const smallErrorDelayMs = 2_000;

export function createParts(options: PartsOptions): Parts {
  const { config, instance, store, watch, registry, notifier, listener, ports, logger } = options;
  const counters = createOrchestratorMetrics(options.metrics);
  const hub = createChangeHub({ notifier, listener, timers: ports.timers });
  const fleet = createFleetView({ registry, pauseThreshold: config.pauseThreshold, ports, logger });
  const sessions = createSessions(notifier, logger);
  const avoidance = createSharedAvoidance({
    instance,
    own: createAvoidedAgents(ports.clock),
    notifier,
    listener,
    onForgiven: () => loop.wake("an agent is back"),
  });
  const { avoided } = avoidance;
  const releaser = createReleaser({ registry, ports, logger });
  const queueHold = createQueueHoldView({
    store,
    notifier,
    listener,
    ports,
    logger,
    onRelease: () => loop.wake("the queue is released"),
    watch,
  });
  const gate = createGate(fleet, config.pauseThreshold, () => queueHold.current());
  const durations = createDurations({ store, ports, logger });
  const claimer: Claimer = { owner: instance, leaseMs: config.claimLeaseMs };
  const claimEnds = new ClaimEnds({
    clock: ports.clock,
    timers: ports.timers,
    leaseMs: claimer.leaseMs,
    look: () => loop.wake("claims on what could not be placed have ended"),
  });
  const planChanged = (planId: string): void => hub.changed(planId);
  const attemptChanged = (attemptId: string): void => hub.changed(attemptId);
  const kept = createKeptRoom({
    store,
    registry,
    fleet,
    clock: ports.clock,
    logger,
    rules: { ...DEFAULT_HOLD_RULES, afterMs: config.keepRoomAfterMs },
  });
  const placer = createPlacer({
    kept,
    owner: instance,
    store,
    registry,
    fleet,
    gate,
    avoided,
    deliverer: sessions,
    releaser,
    random: ports.random,
    logger,
  });
  const refusals = createRefusals(fleet);
  const stamper = createStamper({ store, clock: ports.clock, freshMs: config.pollingIntervalMs });
  const resumer = createResumer({
    store,
    fleet,
    gate,
    placer,
    refusals,
    kept,
    avoided,
    stamper,
    stillNever: createStillNever({
      store,
      registry,
      stamper,
      fleet,
      clock: ports.clock,
      timers: ports.timers,
      logger,
    }),
    claimer,
    claimEnds,
    clock: ports.clock,
    timers: ports.timers,
    logger,
    planChanged,
    metrics: counters,
  });
  const loop = createResumeLoop({
    resumer,
    store,
    fleet,
    avoided,
    kept,
    holds: (agentId) => sessions.holds(agentId),
    ports,
    logger,
    intervalMs: config.pollingIntervalMs,
    errorDelayMs: config.errorDelayMs,
    metrics: counters,
  });
  const wakeLoop = (cause: string): void => loop.wake(cause);
  const settleOne = createSettle({ releaser, wakeLoop, planChanged, attemptChanged, metrics: counters });
  const settle: Settle = (attempt, applied, cause, to) => {
    const { verdict } = applied;
    if (verdict.kind === "final" && verdict.attemptState === "succeeded") durations.note(attempt.attemptId);
    settleOne(attempt, applied, cause, to);
  };
  const expectDurations = (planName: string) => durations.expect(planName);
  const acceptor = createAcceptor({
    store,
    fleet,
    gate,
    placer,
    registry,
    claimer,
    claimEnds,
    ports,
    pointMs: config.priorityPointMs,
    wakeLoop,
    planChanged,
    expectDurations,
  });
  const maxOutputBytes = Math.floor(config.maxOutputMb * 1_048_576);
  const messages = createAgentMessages({
    store,
    settle,
    releaser,
    expectRoom: () => resumer.expectRoom(),
    avoided,
    ports,
    planChanged,
    attemptChanged,
    maxOutputBytes,
  });
  const delivery = createDeliveryLoop({
    store,
    sessions,
    avoided,
    listener,
    ports,
    logger,
    errorDelayMs: smallErrorDelayMs,
  });
  const sweep = createSweep({ store, registry, settle, avoided, ports, logger, errorDelayMs: smallErrorDelayMs });
  const waitTimeouts = createWaitTimeouts({ store, planChanged, ports, logger });
  const keepMs = config.historyDays * 86_400_000;
  const retention = keepMs === 0 ? [] : [createRetention({ store, keepMs, ports, logger })];
  const counter = createQueueCounter(store, ports.clock);
  registerGauges(options.metrics, { counter, watch, queueHold, fleet, sessions, logger });
  const services: readonly (Service | ManagedService)[] = [
    notifier,
    ...(listener === null ? [] : [listener]),
    hub,
    avoidance,
    releaser,
    queueHold,
    fleet,
    delivery,
    sweep,
    loop,
    durations,
    waitTimeouts,
    ...retention,
  ];
  const deps: HandlerDeps = {
    instance,
    ports,
    store,
    acceptor,
    gate,
    fleet,
    registry,
    resumer,
    loop,
    queueHold,
    counter,
    hub,
    sessions,
    messages,
    avoided,
    kept,
    releaser,
    settle,
    pollingIntervalMs: config.pollingIntervalMs,
    pointMs: config.priorityPointMs,
    expectDurations,
    mapError: mapStoreError,
  };
  return { deps, fleet, sessions, loop, services };
}
