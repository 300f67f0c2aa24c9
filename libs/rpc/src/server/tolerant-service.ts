import type { ServiceDefinition, Metadata } from "@grpc/grpc-js";
import type { Ports } from "@headroom/runtime";
import { HeadroomError } from "../errors.ts";
import { chooseRequestId } from "../pipeline/request-id.ts";
import { type GrpcError, toGrpcError } from "../status/grpc-status.ts";
import { malformedMessage } from "../validation/validator.ts";
import { grpcCallMeta, type GrpcCall } from "./grpc-call-meta.ts";

/**
 * A service whose requests grpc-js decodes, for those that stay outside the pipeline. Bytes that are no message reach the handler as the
 * error to answer with: what a decoder throws, grpc-js answers with INTERNAL, as if the fault were ours.
 */
export function tolerant(service: ServiceDefinition): ServiceDefinition {
  return Object.fromEntries(
    Object.entries(service).map(([name, method]) => {
      const requestDeserialize = (bytes: Buffer): unknown => {
        try {
          return method.requestDeserialize(bytes);
        } catch (error) {
          return malformedMessage(`request of ${method.path.slice(1)}`, error);
        }
      };
      return [name, { ...method, requestDeserialize }];
    }),
  );
}

/** A request of such a service. */
export type Tolerated<Request> = Request | HeadroomError;

/** The error as grpc-js sends it, with the id of the caller's request. */
export function refusal(
  call: GrpcCall & { readonly metadata: Metadata },
  error: HeadroomError,
  ports: Ports,
): GrpcError {
  return toGrpcError(error, chooseRequestId(grpcCallMeta(call, undefined).requestId, ports.random));
}
