/** The composition root. `createOrchestrator` is the only seam: whatever a test or a simulation replaces, it gives here. */
import { type Notifier, postgresAt, type PostgresServer } from "@headroom/postgres";
import {
  type Channel,
  type HttpServer,
  type Network,
  type RpcServer,
  serverSecurity,
  socketNetwork,
} from "@headroom/rpc";
import {
  createMetrics,
  type HostPort,
  lifecycle,
  type Logger,
  type ManagedService,
  type Metrics,
  type Ports,
  silentLogger,
  startAbortably,
  systemPorts,
  withTimeout,
} from "@headroom/runtime";
import { type OrchestratorConfig, registryTlsOf } from "./config.ts";
import { createParts, type Parts } from "./parts.ts";
import { createGrpcRegistry } from "./registry/grpc-registry.ts";
import type { RegistryPort } from "./registry/port.ts";
import { mapStoreError } from "./rpc/map-store-error.ts";
import { orchestratorServices } from "./rpc/services.ts";
import { databaseAway, DatabaseWatch } from "./store/database-watch.ts";
import { openPostgresStore, type OpenedStore } from "./store/open-store.ts";
import type { OrchestratorStore } from "./store/port.ts";

export interface OrchestratorOverrides {
  readonly ports?: Ports;
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  /** In place of sockets. */
  readonly network?: Network;
  /** In place of the PostgreSQL that the configuration names. */
  readonly postgres?: PostgresServer;
  /** In place of PostgreSQL. Without notifications: loops find by looking what other replicas did. */
  readonly store?: OrchestratorStore;
  /** In place of the registry over gRPC. */
  readonly registry?: RegistryPort;
}

export interface Orchestrator extends ManagedService {
  /** Where gRPC really listens; null when it does not. */
  readonly grpcAddress: HostPort | null;
  /** Where REST really listens; null when it does not. */
  readonly httpAddress: HostPort | null;
  /** One pass over the queue, as ResumePausedWork makes it; answers how many tasks were resumed. Throws when it does not run. */
  resumePausedWork(): Promise<number>;
}

const version = "0.1.0";
const services = [
  "",
  "headroom.orchestrator.v1.PlanService",
  "headroom.orchestrator.v1.PauseQueueService",
  "headroom.orchestrator.v1.WorkService",
] as const;
/** A registry that stands still is left for another one behind the same name soon after its lease in the database is over. */
const registryKeepalive = { everyMs: 5_000, answerWithinMs: 5_000 };
/** Agents that are sent away come back spread over this time. */
const reconnectWithinMs = 1_000;
/** What a server takes beyond the drain time to end the calls that last longer (it ends them by itself, within half of this). */
const endCallsMs = 1_000;
/** All that is left to write is given up after this long, so that a database that answers nothing at all does not keep the process. */
const lastWritesMs = 10_000;
/** Connections that nobody answers on go with the process. */
const closeMs = 2_000;

interface Running {
  readonly rpc: RpcServer;
  readonly http: HttpServer;
  readonly parts: Parts;
  readonly opened: OpenedStore;
  readonly channel: Channel | null;
  readonly drainMs: number;
  readonly watch: DatabaseWatch;
  /** It has started, and has not been told to stop. */
  isReady: boolean;
}

/**
 * Resolves its start when calls are answered. While the database is away the start waits, the ports are open, and health says NOT_SERVING. It says so too
 * when the database is lost later, and until it answers again; all else goes on meanwhile.
 */
export function createOrchestrator(config: OrchestratorConfig, overrides: OrchestratorOverrides = {}): Orchestrator {
  const ports = overrides.ports ?? systemPorts;
  const logger = overrides.logger ?? silentLogger;
  let running: Running | null = null;
  const service = lifecycle({
    name: "orchestrator",
    async start(signal) {
      const started = await assemble(config, overrides, ports, logger);
      running = started;
      try {
        await started.rpc.start();
        await started.http.start();
        await started.opened.prepare(signal);
        for (const part of started.parts.services) {
          signal.throwIfAborted();
          await startAbortably(part, signal);
        }
        started.isReady = true;
        tellHealth(started);
        logger.info(
          { grpc: started.rpc.address, http: started.http.address, instance: started.parts.deps.instance },
          "the orchestrator serves",
        );
      } catch (error) {
        running = null;
        await stopAll(started, "it could not start", ports, logger);
        throw error;
      }
    },
    async stop(reason) {
      const stopping = running;
      if (stopping !== null) await stopAll(stopping, reason, ports, logger);
      running = null;
    },
  });
  return {
    ...service,
    get grpcAddress() {
      return running?.rpc.address ?? null;
    },
    get httpAddress() {
      return running?.http.address ?? null;
    },
    async resumePausedWork() {
      if (running === null) throw new Error("the orchestrator does not run");
      const request = { planId: null, cause: "asked to", thorough: true, signal: new AbortController().signal };
      return (await running.parts.deps.resumer.pass(request)).resumed;
    },
  };
}

async function assemble(
  config: OrchestratorConfig,
  overrides: OrchestratorOverrides,
  ports: Ports,
  logger: Logger,
): Promise<Running> {
  const metrics = overrides.metrics ?? createMetrics({ processMetrics: false });
  const network = overrides.network ?? socketNetwork;
  const { token, security } = await serverSecurity(config, "orchestrator", logger);
  const channel = overrides.registry === undefined ? registryChannel(network, config, token, ports, logger) : null;
  let wake = (): void => undefined;
  const watch = new DatabaseWatch({ clock: ports.clock, logger, onChange: () => tellHealth(running) });
  const opened = openStore(config, overrides, metrics, watch, ports, logger, () => wake());
  const parts = createParts({
    config,
    instance: ports.random.uuid(),
    store: opened.store,
    watch,
    registry: overrides.registry ?? registryOver(channel, ports),
    notifier: opened.notifier,
    listener: opened.listener,
    ports,
    logger,
    metrics,
  });
  wake = () => parts.loop.wake("notifications may have been missed");
  const rpc = network.rpcServer({
    name: "orchestrator",
    ports,
    logger,
    metrics,
    ...security,
    listen: { grpc: config.grpcAddr, setting: "HEADROOM_ORCHESTRATOR_GRPC_ADDR or --grpc-addr" },
    services: orchestratorServices(parts.deps),
    drainMs: config.drainMs,
    mapError: mapStoreError,
  });
  rpc.onStopping(() => parts.sessions.reconnectAll(reconnectWithinMs));
  const running: Running = {
    rpc,
    http: network.httpServer({
      name: "orchestrator",
      version,
      ports,
      logger,
      metrics,
      ...security,
      listen: {
        http: config.httpAddr,
        setting: "HEADROOM_ORCHESTRATOR_HTTP_ADDR or --http-addr",
        extraHosts: config.httpHosts,
        hostsSetting: "HEADROOM_ORCHESTRATOR_HTTP_HOSTS or --http-hosts",
      },
      methods: rpc.methods,
      health: rpc.health,
      readiness() {
        const why = whyNotServing(running);
        return why === null ? { ready: true } : { ready: false, why };
      },
      drainMs: config.drainMs,
    }),
    parts,
    opened,
    channel,
    drainMs: config.drainMs,
    watch,
    isReady: false,
  };
  tellHealth(running);
  return running;
}

/** Null: calls are answered. */
function whyNotServing({ isReady, watch }: Pick<Running, "isReady" | "watch">): string | null {
  if (!isReady) return "waiting for the database";
  return watch.answers ? null : databaseAway;
}

function tellHealth(running: Running): void {
  const isServing = whyNotServing(running) === null;
  for (const name of services) running.rpc.health.set(name, isServing);
}

function openStore(
  config: OrchestratorConfig,
  overrides: OrchestratorOverrides,
  metrics: Metrics,
  watch: DatabaseWatch,
  ports: Ports,
  logger: Logger,
  onReconnect: () => void,
): OpenedStore {
  const { store } = overrides;
  if (store === undefined) {
    return openPostgresStore({
      postgres: overrides.postgres ?? postgresAt(config.databaseUrl),
      maxConnections: config.databaseMaxConnections,
      metrics,
      watch,
      ports,
      logger,
      onReconnect,
    });
  }
  return {
    store,
    notifier: silentNotifier,
    listener: null,
    prepare: () => store.ping(),
    close: () => Promise.resolve(),
  };
}

const silentNotifier: Notifier = {
  notify: () => undefined,
  flush: () => Promise.resolve(),
  start: () => Promise.resolve(),
  stop: () => Promise.resolve(),
};

function registryChannel(
  network: Network,
  config: OrchestratorConfig,
  token: string,
  ports: Ports,
  logger: Logger,
): Channel {
  const tls = registryTlsOf(config);
  return network.channel({
    address: config.registryAddr,
    ports,
    logger,
    token,
    userAgent: `headroom-orchestrator/${version}`,
    keepalive: registryKeepalive,
    howToStart: 'start it with "headroom up" or "headroom registry", or name it with HEADROOM_REGISTRY_ADDR',
    ...(tls !== undefined && { tls }),
  });
}

function registryOver(channel: Channel | null, { timers }: Ports): RegistryPort {
  if (channel === null) throw new Error("there is neither a registry nor a channel to one");
  return createGrpcRegistry(channel, timers);
}

/** Agents are sent away and calls end first, then the loops in the reverse order of their start; claims go back. */
async function stopAll(running: Running, reason: string, ports: Ports, logger: Logger): Promise<void> {
  const { rpc, http, parts, opened, channel } = running;
  const within = async (limitMs: number, what: string, work: Promise<unknown>): Promise<void> => {
    try {
      await withTimeout(ports.timers, limitMs, work, () => new Error("it took too long, and is given up"));
    } catch (error) {
      logger.warn({ err: error }, `${what} did not stop cleanly`);
    }
  };
  const wasReady = running.isReady;
  running.isReady = false;
  tellHealth(running);
  const lastCallsMs = running.drainMs + endCallsMs;
  await Promise.all([within(lastCallsMs, "gRPC", rpc.stop(reason)), within(lastCallsMs, "REST", http.stop(reason))]);
  const writesEndMs = ports.clock.monotonic() + lastWritesMs;
  const inTime = (what: string, work: Promise<unknown>): Promise<void> =>
    within(Math.max(0, writesEndMs - ports.clock.monotonic()), what, work);
  for (const part of parts.services.toReversed()) await inTime("a part", part.stop(reason));
  if (wasReady) await inTime("the claims", parts.deps.store.giveBackClaims(parts.deps.instance));
  channel?.close();
  await within(closeMs, "the database", opened.close());
}
