import {
  agentCapacityToWire,
  explanationToWire,
  needsFromWire,
  reservationToWire,
  reserveFromWire,
  wire,
} from "@headroom/contracts";
import { bindService, createRpcServer, createTokenAuth, type RpcServer, unimplemented } from "@headroom/rpc";
import { createSignal, formatHostPort, silentLogger, systemPorts, type WakeSignal } from "@headroom/runtime";
import {
  type AgentFacts,
  agentView,
  type AgentView,
  amountsFor,
  explain,
  fit,
  type Reservation,
  shapeKey,
} from "@headroom/scheduling";

/** One desktop as a test describes it. */
export interface FakeDesktop {
  readonly cores: number;
  readonly freeCores?: number;
  /** One card of this size. */
  readonly vramGb?: number;
  readonly freeVramGb?: number;
  readonly online?: boolean;
  readonly attached?: boolean;
  /** Null metrics: it has sent none yet. */
  readonly metrics?: boolean;
}

/** A scripted registry on a real socket: reservations in memory, capacity as the test says. */
export interface FakeRegistry {
  readonly address: string;
  /** Promises that were given and not released, by attempt. */
  readonly held: ReadonlyMap<string, Reservation>;
  /** Calls of ReserveCapacity. */
  readonly reserveCalls: () => number;
  /** Promises that were asked to be given back, as often as they were. */
  readonly releases: () => number;
  /** Promises ever given, by attempt: how often. */
  readonly promises: ReadonlyMap<string, number>;
  set(agentId: string, desktop: FakeDesktop): void;
  /** The same, and no watch hears of it: whoever asks for room finds it. */
  setUntold(agentId: string, desktop: FakeDesktop): void;
  remove(agentId: string): void;
  /** Runs before each answer to ReserveCapacity; what it throws is the answer. */
  onReserve(hook: (() => Promise<void>) | null): void;
  /** Ends promises whose lease is over and of which this holds: that nobody confirmed them. Else they last until they are released. */
  endLeases(isUnconfirmed: (attemptId: string) => boolean): void;
  /** Forgets all promises. */
  clear(): void;
  stop(): Promise<void>;
  start(): Promise<void>;
}

const leaseMs = 30_000;

export async function startFakeRegistry(token: string): Promise<FakeRegistry> {
  const desktops = new Map<string, FakeDesktop>();
  const reservations = new Map<string, Reservation>();
  const promises = new Map<string, number>();
  const watchers = new Set<WakeSignal>();
  let counter = 1;
  let instance = systemPorts.random.uuid();
  let roomAppearedAt = 0;
  let reserveCalls = 0;
  let releases = 0;
  let hook: (() => Promise<void>) | null = null;
  let port = 0;

  function changed(roomAppeared: boolean): void {
    counter += 1;
    if (roomAppeared) roomAppearedAt = counter;
    for (const bell of watchers) bell.notify();
  }

  function views(): AgentView[] {
    return [...desktops].map(([agentId, desktop]) =>
      agentView(
        factsOf(
          agentId,
          desktop,
          [...reservations.values()].filter((one) => one.agentId === agentId && one.state !== "released"),
        ),
      ),
    );
  }

  function message(snapshot: boolean, sinceCounter: number): wire.WatchCapacityResponse {
    return wire.WatchCapacityResponse.fromPartial({
      revision: { registryInstance: instance, counter },
      snapshot: true,
      agents: views().map((view) => agentCapacityToWire(view, { hostname: "fake", expectedAvailableAtMs: null })),
      roomAppeared: snapshot || roomAppearedAt > sinceCounter,
    });
  }

  function reserveOne(asked: wire.Reserve): wire.ReserveResult {
    const read = reserveFromWire(asked);
    if (read.kind === "invalid") throw new Error(read.description);
    const request = read.value;
    const shape = shapeKey(request.needs);
    const { attemptId } = request;
    const earlier = reservations.get(attemptId);
    const promised = (reservation: Reservation): wire.ReserveResult => ({
      attemptId,
      outcome: {
        $case: "reserved",
        value: reservationToWire(reservation, { nowMs: Date.now(), reservedAtMs: Date.now() }),
      },
    });
    if (earlier !== undefined) {
      if (earlier.state === "released")
        return { attemptId, outcome: { $case: "conflict", value: { sentence: "released", released: true } } };
      if (earlier.fence > request.fence)
        return { attemptId, outcome: { $case: "staleFence", value: { currentFence: earlier.fence } } };
      const raised = { ...earlier, fence: request.fence };
      reservations.set(attemptId, raised);
      return promised(raised);
    }
    const fleet = views();
    const options = { avoidAgentIds: request.avoidAgentIds };
    const found = fleet
      .map((view) => ({ view, fit: fit(view, request.needs, options) }))
      .find((one) => one.fit.kind === "fits");
    if (found === undefined || found.fit.kind !== "fits") {
      const explanation = explain(fleet, request.needs, options);
      return { attemptId, outcome: { $case: "noRoom", value: explanationToWire(explanation, () => undefined) } };
    }
    const cardIds = found.view.room.cards.slice(0, request.needs.gpuCount).map((card) => card.cardId);
    const reservation: Reservation = {
      attemptId,
      agentId: found.view.agentId,
      reserved: amountsFor(request.needs, cardIds),
      expectedEndAtMs: null,
      state: "unconfirmed",
      fence: request.fence,
      shape,
      leaseExpiresAtMs: Date.now() + leaseMs,
      releasedAtMs: null,
    };
    reservations.set(attemptId, reservation);
    promises.set(attemptId, (promises.get(attemptId) ?? 0) + 1);
    return promised(reservation);
  }

  /** Reserves, answers, and takes it all back before anybody can see it. */
  function dryRunOf(asked: readonly wire.Reserve[]): wire.ReserveCapacityResponse {
    const before = new Map(reservations);
    const beforePromises = new Map(promises);
    const results = asked.map(reserveOne);
    reservations.clear();
    for (const [attemptId, reservation] of before) reservations.set(attemptId, reservation);
    promises.clear();
    for (const [attemptId, times] of beforePromises) promises.set(attemptId, times);
    return wire.ReserveCapacityResponse.fromPartial({ results, revision: { registryInstance: instance, counter } });
  }

  function createServer(): RpcServer {
    return createRpcServer({
      name: "fake-registry",
      ports: systemPorts,
      logger: silentLogger,
      listen: { grpc: { host: "127.0.0.1", port } },
      auth: createTokenAuth({ token }),
      drainMs: 200,
      services: [
        bindService(wire.CapacityServiceService, {
          getAgentCapacity: () => Promise.reject(unimplemented("this")),
          listAvailableCapacity: () => Promise.reject(unimplemented("this")),
          listPoolCapacity: () => Promise.reject(unimplemented("this")),
          async *watchCapacity(_request, { signal }) {
            const bell = createSignal();
            watchers.add(bell);
            try {
              let toldUpTo = counter;
              yield message(true, 0);
              while (!signal.aborted) {
                await bell.wait(signal).catch(() => undefined);
                if (signal.aborted) return;
                const next = message(false, toldUpTo);
                toldUpTo = counter;
                yield next;
              }
            } finally {
              watchers.delete(bell);
            }
          },
          async reserveCapacity({ reservations: asked, dryRun }) {
            if (dryRun === true) return dryRunOf(asked);
            reserveCalls += 1;
            await hook?.();
            const results = asked.map(reserveOne);
            changed(false);
            return wire.ReserveCapacityResponse.fromPartial({
              results,
              revision: { registryInstance: instance, counter },
            });
          },
          renewReservations: ({ attempts }) =>
            Promise.resolve(
              wire.RenewReservationsResponse.fromPartial({
                results: attempts.map(({ attemptId }) => {
                  const isHeld = reservations.get(attemptId)?.state === "unconfirmed";
                  const outcome = isHeld
                    ? wire.RenewOutcome.RENEW_OUTCOME_RENEWED
                    : wire.RenewOutcome.RENEW_OUTCOME_NOT_FOUND;
                  return { attemptId, outcome, ...(isHeld && { leaseLeft: { seconds: 30, nanos: 0 } }) };
                }),
              }),
            ),
          releaseCapacity({ attempts }) {
            releases += attempts.length;
            const results = attempts.map(({ attemptId, fence }) => {
              const reservation = reservations.get(attemptId);
              if (reservation === undefined)
                return { attemptId, outcome: wire.ReleaseOutcome.RELEASE_OUTCOME_NOT_FOUND };
              if (reservation.fence > fence)
                return { attemptId, outcome: wire.ReleaseOutcome.RELEASE_OUTCOME_STALE_FENCE };
              reservations.set(attemptId, { ...reservation, state: "released" });
              return { attemptId, outcome: wire.ReleaseOutcome.RELEASE_OUTCOME_RELEASED };
            });
            changed(true);
            return Promise.resolve(wire.ReleaseCapacityResponse.fromPartial({ results }));
          },
          explainCapacity: ({ needs, maxAgents }) =>
            Promise.resolve(
              wire.ExplainCapacityResponse.fromPartial({
                explanation: explanationToWire(explain(views(), needsFromWire(needs), {}, maxAgents), () => undefined),
              }),
            ),
        }),
      ],
    });
  }

  let server = createServer();
  await server.start();
  port = server.address?.port ?? 0;
  return {
    get address() {
      return formatHostPort({ host: "127.0.0.1", port });
    },
    get held() {
      return new Map([...reservations].filter(([, one]) => one.state !== "released"));
    },
    promises,
    reserveCalls: () => reserveCalls,
    releases: () => releases,
    set(agentId, desktop) {
      desktops.set(agentId, desktop);
      changed(true);
    },
    setUntold(agentId, desktop) {
      desktops.set(agentId, desktop);
    },
    remove(agentId) {
      desktops.delete(agentId);
      changed(false);
    },
    onReserve(next) {
      hook = next;
    },
    endLeases(isUnconfirmed) {
      const over = [...reservations.values()].filter(
        ({ attemptId, state, leaseExpiresAtMs }) =>
          state === "unconfirmed" && (leaseExpiresAtMs ?? 0) <= Date.now() && isUnconfirmed(attemptId),
      );
      for (const one of over) reservations.set(one.attemptId, { ...one, state: "released" });
      if (over.length > 0) changed(true);
    },
    clear() {
      reservations.clear();
      promises.clear();
    },
    async stop() {
      await server.stop();
    },
    async start() {
      instance = systemPorts.random.uuid();
      server = createServer();
      await server.start();
    },
  };
}

function factsOf(agentId: string, desktop: FakeDesktop, reservations: readonly Reservation[]): AgentFacts {
  const { cores, freeCores = cores, vramGb, freeVramGb = vramGb ?? 0 } = desktop;
  return {
    agentId,
    agentType: "desktop",
    poolName: "default",
    labels: {},
    status: (desktop.online ?? true) ? "online" : "offline",
    attached: desktop.attached ?? true,
    cordoned: false,
    draining: false,
    ownerHold: false,
    reservations,
    sample:
      desktop.metrics === false
        ? null
        : {
            sampledAtMs: Date.now(),
            cpu: { total: cores * 1_000, available: freeCores * 1_000, offer: cores * 1_000, declared: false },
            cpuLoadPercent: 0,
            memory: { total: 65_536, available: 65_536, offer: 65_536, declared: false },
            cards:
              vramGb === undefined
                ? []
                : [
                    {
                      cardId: "gpu-0",
                      index: 0,
                      model: "Test Card",
                      vramTotalMib: vramGb * 1_024,
                      vramAvailableMib: freeVramGb * 1_024,
                      vramOfferMib: vramGb * 1_024,
                      declared: false,
                      sharedMemory: false,
                    },
                  ],
            attempts: [],
          },
  };
}
