import type { Server } from "@grpc/grpc-js";
import { formatHostPort, lifecycle, type HostPort } from "@headroom/runtime";
import { checkBindAddress } from "../auth/bind-address.ts";
import { serverCredentials } from "../auth/tls.ts";
import { Pipeline } from "../pipeline/pipeline.ts";
import { quietGrpc } from "../quiet-grpc.ts";
import { createGrpcServer } from "./grpc-server.ts";
import { HealthState } from "./health-state.ts";
import { listen, parseAddress } from "./listen.ts";
import type { RpcServer, RpcServerOptions, StoppingListener } from "./rpc-server-options.ts";
import { serveMethods, tableOf } from "./served-method.ts";
import { stopGrpcServer } from "./stop-grpc-server.ts";

const defaults = { maxMessageBytes: 16 * 1_048_576, maxConcurrentStreams: 10_000, drainMs: 10_000 } as const;

/**
 * A gRPC server with the services given, health and reflection. Throws TypeError for services that do not fit the contract; `start` rejects
 * with PortInUseError, InsecureBindError or TlsFileError, each saying what to do.
 */
export function createRpcServer(options: RpcServerOptions): RpcServer {
  quietGrpc();
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
  let grpcServer: Server | undefined;
  let address: HostPort | null = null;

  async function start(): Promise<void> {
    checkBindAddress({
      host: wanted.host,
      tls: options.tls !== undefined,
      token: options.auth.requiresCredential,
      allowPlaintext: options.allowPlaintext ?? false,
    });
    const credentials = serverCredentials(options.tls);
    const { maxConcurrentStreams = defaults.maxConcurrentStreams } = options;
    const server = createGrpcServer({ methods, pipeline, health, ports, maxMessageBytes, maxConcurrentStreams });
    try {
      address = await listen(server, credentials, { name, address: wanted, setting: options.listen.setting });
    } catch (error) {
      server.forceShutdown();
      throw error;
    }
    grpcServer = server;
    health.setUp(true);
    logger.info({ address: formatHostPort(address), tls: options.tls !== undefined }, `${name} serves gRPC`);
  }

  async function stop(reason: string): Promise<void> {
    const server = grpcServer;
    if (server === undefined) return;
    grpcServer = undefined;
    await stopGrpcServer(server, {
      name,
      reason,
      ports,
      logger,
      pipeline,
      drainMs,
      listeners: [...stoppingListeners],
      goDown: () => health.setUp(false),
    });
    address = null;
  }

  const life = lifecycle({ name, start, stop });
  return {
    name,
    state: () => life.state(),
    start: () => life.start(),
    stop: (reason) => life.stop(reason),
    get address() {
      return address;
    },
    methods: tableOf(methods),
    health,
    onStopping(listener) {
      stoppingListeners.add(listener);
      return () => void stoppingListeners.delete(listener);
    },
  };
}
