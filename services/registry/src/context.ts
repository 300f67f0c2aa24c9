/** The composition root. `createRegistry` is the only seam: whatever a test or a simulation replaces, it gives here. */
import { isSchemaMismatch, type Listener, type Notifier, postgresAt, type PostgresServer } from "@headroom/postgres";
import { type HttpServer, type Network, type RpcServer, serverSecurity, socketNetwork } from "@headroom/rpc";
import {
  createMetrics,
  type HostPort,
  lifecycle,
  type Logger,
  type ManagedService,
  type Metrics,
  type Ports,
  RunLoop,
  type Service,
  silentLogger,
  systemPorts,
  withTimeout,
} from "@headroom/runtime";
import type { RegistryConfig } from "./config.ts";
import { createParts, type Parts } from "./parts.ts";
import { mapStoreError } from "./rpc/map-store-error.ts";
import { registryServices } from "./rpc/services.ts";
import { openPostgresStore } from "./store/open-store.ts";
import type { RegistryStore } from "./store/registry-store.ts";

export interface RegistryOverrides {
  readonly ports?: Ports;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  /** In place of sockets. */
  readonly network?: Network;
  /** In place of the PostgreSQL that the configuration names. */
  readonly postgres?: PostgresServer;
  /** In place of PostgreSQL; closed with the registry. */
  readonly store?: RegistryStore;
}

export interface Registry extends ManagedService {
  /** Where gRPC really listens; null when it does not. */
  readonly grpcAddress: HostPort | null;
  /** Where REST really listens; null when it does not. */
  readonly httpAddress: HostPort | null;
}

const VERSION = "0.1.0";
const AGENT_SERVICE = "headroom.registry.v1.AgentService";
const CAPACITY_SERVICE = "headroom.registry.v1.CapacityService";
const FLEET_SERVICE = "headroom.registry.v1.FleetService";
const HEALTH_INTERVAL_MS = 250;
/** All that is left to write is given up after this long, so that a database that answers nothing at all does not keep the process. */
const LAST_WRITES_MS = 10_000;
/** Connections that nobody answers on go with the process. */
const CLOSE_MS = 2_000;

interface Running {
  readonly rpc: RpcServer;
  readonly http: HttpServer;
  readonly parts: Parts;
  readonly store: RegistryStore;
  readonly loops: readonly Service[];
}

/**
 * Resolves its start when the fleet is loaded and calls are answered. While the database is away the start waits, both
 * ports are open, and health says NOT_SERVING; so it does, and lets agents in, until other processes on the database have shown that they live.
 */
export function createRegistry(config: RegistryConfig, overrides: RegistryOverrides = {}): Registry {
  const ports = overrides.ports ?? systemPorts;
  const logger = overrides.logger ?? silentLogger;
  let running: Running | null = null;
  const service = lifecycle({
    name: "registry",
    async start(signal) {
      let wake = (): void => undefined;
      const opened = openStore(config, overrides, ports, logger, () => wake());
      const started = await createServers(config, overrides, opened, ports, logger);
      wake = () => started.parts.replicas.loop.wake("notifications may have been missed");
      running = started;
      try {
        await started.rpc.start();
        await started.http.start();
        await opened.prepare(signal);
        await loadFleet(started, signal, ports, logger);
        for (const loop of started.loops) await loop.start();
        await started.parts.meetOthers(signal);
        signal.throwIfAborted();
        logger.info({ grpc: started.rpc.address, http: started.http.address }, "the registry serves");
      } catch (error) {
        await stopAll(started, "it could not start", ports, logger);
        running = null;
        throw error;
      }
    },
    async stop(reason) {
      if (running !== null) await stopAll(running, reason, ports, logger);
      running = null;
    },
  });
  return {
    name: service.name,
    state: () => service.state(),
    start: () => service.start(),
    stop: (reason) => service.stop(reason),
    get grpcAddress() {
      return running?.rpc.address ?? null;
    },
    get httpAddress() {
      return running?.http.address ?? null;
    },
  };
}

interface OpenedStore {
  readonly store: RegistryStore;
  /** Null: no notifications, only looking. */
  readonly notifier: Notifier | null;
  readonly listener: Listener | null;
  prepare(signal: AbortSignal): Promise<void>;
}

function openStore(
  config: RegistryConfig,
  overrides: RegistryOverrides,
  ports: Ports,
  logger: Logger,
  onReconnect: () => void,
): OpenedStore {
  const { store } = overrides;
  if (store !== undefined)
    return { store, notifier: null, listener: null, prepare: async () => void (await store.ping()) };
  return openPostgresStore({
    postgres: overrides.postgres ?? postgresAt(config.databaseUrl),
    maxConnections: config.databaseMaxConnections,
    ports,
    logger,
    onReconnect,
    ...(overrides.metrics !== undefined && { metrics: overrides.metrics }),
  });
}

async function createServers(
  config: RegistryConfig,
  overrides: RegistryOverrides,
  { store, notifier, listener }: OpenedStore,
  ports: Ports,
  logger: Logger,
): Promise<Running> {
  const metrics = overrides.metrics ?? createMetrics({ processMetrics: false });
  const network = overrides.network ?? socketNetwork;
  const { token, security } = await serverSecurity(config, "registry", logger);
  const parts = createParts({ config, token, store, notifier, listener, ports, logger, metrics });
  const rpc = network.rpcServer({
    name: "registry",
    ports,
    logger,
    metrics,
    ...security,
    listen: { grpc: config.grpcAddr, setting: "HEADROOM_REGISTRY_GRPC_ADDR or --grpc-addr" },
    services: registryServices(parts.handlers, parts.sessionServices),
    drainMs: config.drainMs,
    mapError: mapStoreError,
  });
  for (const name of ["", AGENT_SERVICE, CAPACITY_SERVICE, FLEET_SERVICE]) rpc.health.set(name, false);
  rpc.onStopping(() => sendAgentsAway(parts));
  const http = network.httpServer({
    name: "registry",
    version: VERSION,
    ports,
    logger,
    metrics,
    ...security,
    listen: {
      http: config.httpAddr,
      setting: "HEADROOM_REGISTRY_HTTP_ADDR or --http-addr",
      extraHosts: config.httpHosts,
      hostsSetting: "HEADROOM_REGISTRY_HTTP_HOSTS or --http-hosts",
    },
    methods: rpc.methods,
    health: rpc.health,
    readiness() {
      const why = parts.whyNotServing;
      return why === null ? { ready: true } : { ready: false, why };
    },
    drainMs: config.drainMs,
  });
  const health = createHealthLoop(rpc, parts, ports, logger);
  const loops = [
    parts.handlers.writer,
    ...(notifier === null ? [] : [notifier]),
    ...(listener === null ? [] : [unawaited(listener)]),
    parts.news,
    parts.sweep,
    parts.leases,
    parts.indexing,
    parts.replicas.loop,
    parts.handlers.placement.keeper,
    health,
  ];
  return { rpc, http, parts, store, loops };
}

/** Its first try may take as long as the lease of this process, which the loops behind it renew: nobody needs what it hears to begin with. */
function unawaited(listener: Listener): Service {
  return {
    start() {
      void listener.start();
      return Promise.resolve();
    },
    stop: (reason) => listener.stop(reason),
  };
}

/**
 * Agents can come at once; capacity is told as serving when all that were there are back, or one grace is over. Nothing serves while this process is cut
 * off from its database.
 */
function createHealthLoop(rpc: RpcServer, parts: Parts, ports: Ports, logger: Logger): RunLoop {
  let wasWarm = false;
  return new RunLoop({
    name: "health",
    ports,
    intervalMs: HEALTH_INTERVAL_MS,
    run() {
      const isServing = parts.whyNotServing === null;
      // To ask means to look at every agent.
      wasWarm ||= parts.isWarm;
      for (const name of ["", AGENT_SERVICE, FLEET_SERVICE]) rpc.health.set(name, isServing);
      rpc.health.set(CAPACITY_SERVICE, isServing && wasWarm);
    },
    onError: (error) => logger.error({ err: error }, "health cannot be told"),
  });
}

/** The store may go away again between its first answer and the load: wait, say so, and try again. */
async function loadFleet({ parts }: Running, signal: AbortSignal, ports: Ports, logger: Logger): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    try {
      await parts.load();
      return;
    } catch (error) {
      // The schema has just been brought up to date: that it does not fit all the same passes with another version of this program only.
      if (mapStoreError(error) === null || isSchemaMismatch(error)) throw error;
      logger.warn({ err: error }, "the fleet cannot be loaded now; trying again in a second");
      await new Promise<void>((resolve) => void ports.timers.after(1_000, resolve));
    }
  }
}

/** They come back, here or to another registry process, spread over as long as it takes to let them all in. */
function sendAgentsAway({ sessions, pace }: Parts): void {
  const { reconnectWithinMs } = pace;
  sessions.close();
  for (const session of sessions.all()) {
    session.askToReconnect(reconnectWithinMs);
    session.end();
  }
}

/** In the reverse order of the start; what fails does not keep the rest from stopping. */
async function stopAll(
  { rpc, http, parts, store, loops }: Running,
  reason: string,
  ports: Ports,
  logger: Logger,
): Promise<void> {
  const attempt = async (what: string, stop: () => Promise<unknown>): Promise<void> => {
    try {
      await stop();
    } catch (error) {
      logger.warn({ err: error }, `${what} did not stop cleanly`);
    }
  };
  await Promise.all([attempt("gRPC", () => rpc.stop(reason)), attempt("REST", () => http.stop(reason))]);
  const startedMs = ports.clock.monotonic();
  const inTime = (work: Promise<unknown>): Promise<unknown> => {
    const leftMs = Math.max(0, LAST_WRITES_MS - (ports.clock.monotonic() - startedMs));
    return withTimeout(ports.timers, leftMs, work, () => new Error("the last writes took longer than 10 s in all"));
  };
  const [writer, ...others] = loops;
  for (const loop of others.toReversed()) await attempt("a loop", () => inTime(loop.stop(reason)));
  await attempt("admission", () => inTime(parts.admissions.idle()));
  await attempt("the drains", () => inTime(parts.drains.idle()));
  await attempt("the reservation desk", () => inTime(parts.handlers.desk.idle()));
  if (writer !== undefined) await attempt("the state writer", () => inTime(writer.stop(reason)));
  if (parts.isLoaded) {
    await attempt("the own lease", () => inTime(store.retireReplica(parts.handlers.replicaId)));
  }
  await attempt("the store", () =>
    withTimeout(ports.timers, CLOSE_MS, store.close(), () => new Error("its connections did not end in time")),
  );
}
