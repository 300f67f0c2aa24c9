import type { handleBidiStreamingCall, ServerDuplexStream } from "@grpc/grpc-js";
import type { Ports } from "@headroom/runtime";
import { callerGoneError } from "../pipeline/call-scope.ts";
import type { DuplexCarrier, DuplexReceiver } from "../pipeline/invoke-duplex.ts";
import { chooseRequestId } from "../pipeline/request-id.ts";
import { toGrpcError } from "../status/grpc-status.ts";
import { grpcCallMeta, type NoteCall } from "./grpc-call-meta.ts";
import type { Method } from "./method-table.ts";

type GrpcStream = ServerDuplexStream<Buffer, Buffer>;

/** Answers duplex calls of grpc-js from the method table. */
export function grpcDuplex(method: Method, ports: Ports, note: NoteCall): handleBidiStreamingCall<Buffer, Buffer> {
  return (stream) => {
    note(stream);
    const given = grpcCallMeta(stream, undefined);
    const requestId = chooseRequestId(given.requestId, ports.random);
    method.invokeDuplexBytes({ ...given, requestId }, carrierOf(stream, requestId));
  };
}

function carrierOf(stream: GrpcStream, requestId: string): DuplexCarrier {
  return {
    write: (bytes, written) => stream.write(bytes, written),
    end: () => void stream.end(),
    // grpc-js takes an "error" event for the status to send, after what is queued.
    fail: (error) => void (stream.destroyed || stream.emit("error", toGrpcError(error, requestId))),
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
    isGone: () => stream.destroyed,
    begin: (receiver) => connect(stream, receiver),
  };
}

function connect(stream: GrpcStream, receiver: DuplexReceiver): void {
  let finished = false;
  stream.on("drain", () => receiver.drained());
  stream.on("end", () => receiver.peerEnded());
  // Our status has been handed over, so what follows is a clean end.
  stream.on("finish", () => {
    finished = true;
  });
  stream.on("close", () => receiver.transportClosed(finished ? null : callerGoneError()));
  stream.on("data", (bytes: Buffer) => receiver.received(bytes));
}
