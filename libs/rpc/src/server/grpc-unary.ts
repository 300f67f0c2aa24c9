import type { handleUnaryCall } from "@grpc/grpc-js";
import type { Ports } from "@headroom/runtime";
import type { HeadroomError } from "../errors.ts";
import { chooseRequestId } from "../pipeline/request-id.ts";
import { toGrpcError } from "../status/grpc-status.ts";
import { cancelSignal, grpcCallMeta, type NoteCall } from "./grpc-call-meta.ts";
import type { Method } from "./method-table.ts";

/** Answers unary calls of grpc-js from the method table. */
export function grpcUnary(method: Method, ports: Ports, note: NoteCall): handleUnaryCall<Buffer, Uint8Array> {
  return (call, callback) => {
    note(call);
    const given = grpcCallMeta(call, cancelSignal(call));
    const meta = { ...given, requestId: chooseRequestId(given.requestId, ports.random) };
    method.invokeUnaryBytes(call.request, meta).then(
      (bytes) => callback(null, bytes),
      // The table rejects with nothing else.
      (error: HeadroomError) => callback(toGrpcError(error, meta.requestId)),
    );
  };
}
