import type { CallOptions, RpcClient, ServiceDefinition } from "../definition.ts";
import type { Channel } from "./channel.ts";
import type { AnyMethod } from "./outgoing-call.ts";

/** The client of a service: one function for each method of its definition. Costs nothing but the object; the channel connects. */
export function createClient<D extends ServiceDefinition>(definition: D, channel: Channel): RpcClient<D> {
  const methods = Object.entries(definition).map(([key, shape]) => [key, clientMethod(channel, shape)] as const);
  // Each function follows from its definition exactly as RpcClient says; entries forget which is which.
  return Object.fromEntries(methods) as unknown as RpcClient<D>;
}

function clientMethod(channel: Channel, shape: ServiceDefinition[string]): unknown {
  // Every definition that ts-proto makes is whole; ServiceDefinition leaves out what would make its types contravariant.
  const method = shape as ServiceDefinition[string] & AnyMethod;
  if (method.requestStream) return (options?: CallOptions) => channel.duplex(method, options);
  if (method.responseStream)
    return (request: unknown, options?: CallOptions) => channel.serverStream(method, request, options);
  return (request: unknown, options?: CallOptions) => channel.unary(method, request, options);
}
