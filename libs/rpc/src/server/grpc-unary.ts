import type { handleUnaryCall } from "@grpc/grpc-js";
import { nextTurn, type Ports } from "@headroom/runtime";
import type { HeadroomError } from "../errors.ts";
import { chooseRequestId } from "../pipeline/request-id.ts";
import { toGrpcError } from "../status/grpc-status.ts";
import { cancelSignal, grpcCallMeta, type NoteCall } from "./grpc-call-meta.ts";
import type { CallMeta, Method } from "./method-table.ts";

/** Answers unary calls of grpc-js from the method table. */
export function grpcUnary(method: Method, ports: Ports, note: NoteCall): handleUnaryCall<Buffer, Uint8Array> {
  return (call, callback) => {
    note(call);
    const given = grpcCallMeta(call, cancelSignal(call));
    const meta = { ...given, requestId: chooseRequestId(given.requestId, ports.random) };
    begin(method, call.request, meta).then(
      (bytes) => callback(null, bytes),
      // The table rejects with nothing else.
      (error: HeadroomError) => callback(toGrpcError(error, meta.requestId)),
    );
  };
}

/**
 * A process that stood still reads what came meanwhile in one go, a call and after it that its caller has given up. In the next turn the second is
 * known too, and a call that would change something is not begun.
 */
async function begin(method: Method, request: Buffer, meta: CallMeta): Promise<Uint8Array> {
  if (method.idempotency !== "no_side_effects") await nextTurn();
  return method.invokeUnaryBytes(request, meta);
}
