import {
  Server,
  type ServerOptions,
  type ServiceDefinition as GrpcServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { Ports } from "@headroom/runtime";
import type { Pipeline } from "../pipeline/pipeline.ts";
import { grpcDuplex } from "./grpc-duplex.ts";
import { grpcServerStream } from "./grpc-server-stream.ts";
import { grpcUnary } from "./grpc-unary.ts";
import { addHealth, healthServiceName } from "./health-service.ts";
import type { HealthState } from "./health-state.ts";
import { addReflection } from "./reflection.ts";
import type { ServedMethod } from "./served-method.ts";

export interface GrpcServerOptions {
  readonly methods: ReadonlyMap<string, ServedMethod>;
  readonly pipeline: Pipeline;
  readonly health: HealthState;
  readonly ports: Ports;
  readonly maxMessageBytes: number;
  readonly maxConcurrentStreams: number;
}

/** A server of grpc-js that hands every call to the method table. grpc-js sees bytes only: the pipeline decodes, once. */
export function createGrpcServer(options: GrpcServerOptions): Server {
  const server = new Server(serverOptions(options));
  const services = new Map<string, ServedMethod[]>();
  for (const method of options.methods.values()) {
    const service = method.name.slice(0, method.name.indexOf("/"));
    services.set(service, [...(services.get(service) ?? []), method]);
  }
  for (const methods of services.values()) {
    server.addService(bytesDefinition(methods), bytesImplementation(methods, options));
  }
  addHealth(server, options.health);
  addReflection(server, [...services.keys(), healthServiceName]);
  return server;
}

function serverOptions(options: GrpcServerOptions): ServerOptions {
  return {
    "grpc.max_receive_message_length": options.maxMessageBytes,
    "grpc.max_concurrent_streams": options.maxConcurrentStreams,
    // channelz costs about 5 % of the CPU of a busy server.
    "grpc.enable_channelz": 0,
    // A client whose machine vanished is noticed after at most 40 s.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
  };
}

const asIs = (bytes: Buffer): Buffer => bytes;

function bytesDefinition(methods: readonly ServedMethod[]): GrpcServiceDefinition {
  const entries = methods.map((method) => [
    method.name,
    {
      path: method.path,
      requestStream: method.kind === "duplex",
      responseStream: method.kind !== "unary",
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    },
  ]);
  return Object.fromEntries(entries);
}

function bytesImplementation(
  methods: readonly ServedMethod[],
  options: GrpcServerOptions,
): UntypedServiceImplementation {
  return Object.fromEntries(methods.map((method) => [method.name, handlerOf(method, options)]));
}

function handlerOf(method: ServedMethod, { pipeline, ports }: GrpcServerOptions): UntypedServiceImplementation[string] {
  switch (method.kind) {
    case "unary":
      return grpcUnary(method, ports);
    case "server_stream":
      return grpcServerStream(method, ports);
    case "duplex":
      return grpcDuplex(method, pipeline);
  }
}
