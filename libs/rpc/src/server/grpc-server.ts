import {
  Server,
  type ServerOptions,
  type ServiceDefinition as GrpcServiceDefinition,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import type { ConnectionGate } from "./connection-gate.ts";
import { earlyRefusal } from "./early-refusal.ts";
import type { NoteCall } from "./grpc-call-meta.ts";
import { grpcDuplex } from "./grpc-duplex.ts";
import { grpcServerStream } from "./grpc-server-stream.ts";
import { grpcUnary } from "./grpc-unary.ts";
import { addHealth, healthServiceName } from "./health-service.ts";
import { addReflection } from "./reflection.ts";
import type { Method } from "./method-table.ts";
import type { ServedCalls } from "./server-transport.ts";

/** A server of grpc-js that hands every call to the method table. grpc-js sees bytes only: the pipeline decodes, once. */
export function createGrpcServer(options: ServedCalls, gate: ConnectionGate): Server {
  const { methods, ports } = options;
  const interceptors = [earlyRefusal({ methods, ports, endConnection: (peer, why) => gate.end(peer, why) })];
  const server = new Server({ ...serverOptions(options), interceptors });
  const note: NoteCall = (call) => void call.on("cancelled", gate.request(call.getPeer()));
  const services = new Map<string, Method[]>();
  for (const method of options.methods.list()) {
    const service = method.name.slice(0, method.name.indexOf("/"));
    services.set(service, [...(services.get(service) ?? []), method]);
  }
  for (const methods of services.values()) {
    server.addService(bytesDefinition(methods), bytesImplementation(methods, options, note));
  }
  addHealth(server, options.health, options.ports, note);
  addReflection(server, [...services.keys(), healthServiceName], options.ports, note);
  return server;
}

function serverOptions(options: ServedCalls): ServerOptions {
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

function bytesDefinition(methods: readonly Method[]): GrpcServiceDefinition {
  const entries = methods.map((method) => [
    method.name,
    {
      path: `/${method.name}`,
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
  methods: readonly Method[],
  options: ServedCalls,
  note: NoteCall,
): UntypedServiceImplementation {
  return Object.fromEntries(methods.map((method) => [method.name, handlerOf(method, options, note)]));
}

function handlerOf(method: Method, { ports }: ServedCalls, note: NoteCall): UntypedServiceImplementation[string] {
  switch (method.kind) {
    case "unary":
      return grpcUnary(method, ports, note);
    case "server_stream":
      return grpcServerStream(method, ports, note);
    case "duplex":
      return grpcDuplex(method, ports, note);
  }
}
