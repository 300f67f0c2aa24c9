import { methodOptions, type MethodContract } from "@headroom/contracts";
import type { DuplexHandler, ServerStreamHandler, UnaryHandler } from "../call.ts";
import { HeadroomError } from "../errors.ts";
import { createMethodCodec } from "../pipeline/codec.ts";
import { invokeDuplex } from "../pipeline/invoke-duplex.ts";
import { invokeServerStream } from "../pipeline/invoke-server-stream.ts";
import { invokeUnary } from "../pipeline/invoke-unary.ts";
import type { Pipeline } from "../pipeline/pipeline.ts";
import type { BoundService } from "./bind-service.ts";
import type { Method, MethodTable } from "./method-table.ts";

/** The methods of the services, each with its contract, its compiled rules and its handler. Throws for a method that the contract does not know. */
export function serveMethods(services: readonly BoundService[], pipeline: Pipeline): MethodTable {
  const methods = new Map<string, Method>();
  for (const service of services) {
    for (const [key, definition] of Object.entries(service.definition)) {
      const name = definition.path.slice(1);
      if (methods.has(name)) throw new TypeError(`${service.name} is bound twice`);
      methods.set(name, serveMethod(service, key, contractOf(name), pipeline));
    }
  }
  const list = [...methods.values()];
  return { get: (name) => methods.get(name), list: () => list };
}

function contractOf(name: string): MethodContract {
  const contract = methodOptions(name);
  if (contract === undefined)
    throw new TypeError(
      `the descriptor set has no method ${name}: generate the code again with npm run proto:generate`,
    );
  return contract;
}

function serveMethod(service: BoundService, key: string, contract: MethodContract, pipeline: Pipeline): Method {
  const definition = service.definition[key];
  const handler = service.implementation[key];
  if (definition === undefined || typeof handler !== "function")
    throw new TypeError(`${service.name} has no handler for ${key}`);
  if (definition.requestStream && !definition.responseStream)
    throw new TypeError(`${contract.fullName}: client streams are not supported`);
  const codec = createMethodCodec(definition, contract, pipeline.maxMessageBytes);
  const facts = { name: contract.fullName, kind: contract.streaming, access: contract.access };
  const call = handler.bind(service.implementation) as unknown;
  return {
    ...facts,
    idempotency: contract.idempotency,
    requestType: contract.requestType,
    responseType: contract.responseType,
    isAllowed: (meta) => pipeline.isAllowed(facts, meta),
    invokeUnaryBytes(request, meta) {
      if (facts.kind !== "unary") return Promise.reject(wrongKind(facts.name, facts.kind));
      // bindService has held the handler against the definition, whose kind was just looked at.
      return invokeUnary(pipeline, facts, codec, call as UnaryHandler<unknown, unknown>, request, meta);
    },
    invokeServerStreamBytes(request, meta) {
      if (facts.kind !== "server_stream") throw wrongKind(facts.name, facts.kind);
      return invokeServerStream(pipeline, facts, codec, call as ServerStreamHandler<unknown, unknown>, request, meta);
    },
    invokeDuplexBytes(meta, carrier) {
      if (facts.kind === "duplex")
        invokeDuplex(pipeline, facts, codec, call as DuplexHandler<unknown, unknown>, meta, carrier);
      else carrier.fail(wrongKind(facts.name, facts.kind));
    },
  };
}

function wrongKind(name: string, kind: Method["kind"]): HeadroomError {
  return new HeadroomError({
    code: "UNIMPLEMENTED",
    reason: "WRONG_METHOD_KIND",
    message: `${name} is a ${kind.replace("_", " ")} method and cannot be called in this way; use gRPC`,
  });
}
