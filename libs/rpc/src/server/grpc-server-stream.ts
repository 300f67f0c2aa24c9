import type { handleServerStreamingCall, ServerWritableStream } from "@grpc/grpc-js";
import type { Ports } from "@headroom/runtime";
import type { HeadroomError } from "../errors.ts";
import { chooseRequestId } from "../pipeline/request-id.ts";
import { toGrpcError } from "../status/grpc-status.ts";
import { cancelSignal, grpcCallMeta, type NoteCall } from "./grpc-call-meta.ts";
import type { CallMeta, Method } from "./method-table.ts";

type Stream = ServerWritableStream<Buffer, Uint8Array>;

/** Answers server-streaming calls of grpc-js from the method table, no faster than the reader takes the messages. */
export function grpcServerStream(
  method: Method,
  ports: Ports,
  note: NoteCall,
): handleServerStreamingCall<Buffer, Uint8Array> {
  return (stream) => {
    note(stream);
    const given = grpcCallMeta(stream, cancelSignal(stream));
    const meta = { ...given, requestId: chooseRequestId(given.requestId, ports.random) };
    pump(method, stream, meta).then(
      () => stream.end(),
      // The table throws nothing else. After a cancellation the stream is destroyed, and nobody is left to tell.
      (error: HeadroomError) => void (stream.destroyed || stream.emit("error", toGrpcError(error, meta.requestId))),
    );
  };
}

async function pump(method: Method, stream: Stream, meta: CallMeta): Promise<void> {
  for await (const bytes of method.invokeServerStreamBytes(stream.request, meta)) {
    if (stream.destroyed) return;
    // The next message is made when this one has gone into the transport's own window: nothing queues here.
    await writeAndWait(stream, bytes);
  }
}

/** After a reset grpc-js never calls back, so it is raced with `close`. */
function writeAndWait(stream: Stream, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("close", done);
      resolve();
    };
    stream.on("close", done);
    stream.write(bytes, done);
  });
}
