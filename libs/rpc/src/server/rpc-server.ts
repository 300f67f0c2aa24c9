import { formatHostPort, lifecycle } from "@headroom/runtime";
import { checkBindAddress } from "../auth/bind-address.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { grpcTransport } from "./grpc-transport.ts";
import { HealthState } from "./health-state.ts";
import { parseAddress } from "./listen.ts";
import type { RpcServer, RpcServerOptions, StoppingListener } from "./rpc-server-options.ts";
import { serveMethods } from "./served-method.ts";
import type { OpenTransport, ServerTransport } from "./server-transport.ts";
import { stopTransport } from "./stop-transport.ts";

const defaults = {
  maxMessageBytes: 16 * 1_048_576,
  // A planner or a proxy may have hundreds of calls on one connection; an orchestrator and an agent have a few.
  maxConcurrentStreams: 1_000,
  // More than the agents that one process is meant for.
  maxConnections: 16_384,
  drainMs: 10_000,
} as const;

/**
 * A gRPC server with the services given, health and reflection. Throws TypeError for services that do not fit the contract; `start` rejects
 * with PortInUseError, InsecureBindError or TlsFileError, each saying what to do.
 */
export function createRpcServer(options: RpcServerOptions): RpcServer {
  return createServerOn(grpcTransport, options);
}

/** The same over another transport. */
export function createServerOn(transport: ServerTransport, options: RpcServerOptions): RpcServer {
  const { name, ports, logger, maxMessageBytes = defaults.maxMessageBytes, drainMs = defaults.drainMs } = options;
  const wanted = parseAddress(options.listen.grpc);
  const pipeline = new Pipeline({
    ports,
    logger,
    metrics: options.metrics,
    auth: options.auth,
    mapError: options.mapError,
    maxMessageBytes,
  });
  const methods = serveMethods(options.services, pipeline);
  const health = new HealthState(options.services.map((service) => service.name));
  const stoppingListeners = new Set<StoppingListener>();
  let opened: OpenTransport | undefined;

  async function start(): Promise<void> {
    checkBindAddress({
      host: wanted.host,
      tls: options.tls !== undefined,
      token: options.auth.requiresCredential,
      allowPlaintext: options.allowPlaintext ?? false,
    });
    const { maxConcurrentStreams = defaults.maxConcurrentStreams, maxConnections = defaults.maxConnections } = options;
    opened = await transport.open({
      name,
      address: wanted,
      setting: options.listen.setting,
      methods,
      health,
      ports,
      logger,
      tls: options.tls,
      maxMessageBytes,
      maxConcurrentStreams,
      maxConnections,
    });
    health.setUp(true);
    logger.info({ address: formatHostPort(opened.address), tls: options.tls !== undefined }, `${name} serves gRPC`);
  }

  async function stop(reason: string): Promise<void> {
    const stopping = opened;
    if (stopping === undefined) return;
    await stopTransport(stopping, {
      name,
      reason,
      ports,
      logger,
      pipeline,
      drainMs,
      listeners: [...stoppingListeners],
      goDown: () => health.setUp(false),
    });
    opened = undefined;
  }

  const life = lifecycle({ name, start, stop });
  return {
    name,
    state: () => life.state(),
    start: () => life.start(),
    stop: (reason) => life.stop(reason),
    get address() {
      return opened?.address ?? null;
    },
    methods,
    health,
    onStopping(listener) {
      stoppingListeners.add(listener);
      return () => void stoppingListeners.delete(listener);
    },
  };
}
