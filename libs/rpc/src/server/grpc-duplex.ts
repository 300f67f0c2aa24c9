import type { handleBidiStreamingCall, ServerDuplexStream } from "@grpc/grpc-js";
import type { DuplexHandler } from "../call.ts";
import { callGuarded } from "../duplex/call-guarded.ts";
import { DuplexCore, type DuplexTransport } from "../duplex/duplex-core.ts";
import { HeadroomError } from "../errors.ts";
import { callerGoneError } from "../pipeline/call-scope.ts";
import type { CallInProgress, Pipeline } from "../pipeline/pipeline.ts";
import type { ServerCallContext } from "../pipeline/server-call-context.ts";
import { toGrpcError } from "../status/grpc-status.ts";
import { grpcCallMeta } from "./grpc-call-meta.ts";
import type { ServedMethod } from "./served-method.ts";

type GrpcStream = ServerDuplexStream<Buffer, Buffer>;

/** Answers duplex calls of grpc-js with the method's handler. */
export function grpcDuplex(method: ServedMethod, pipeline: Pipeline): handleBidiStreamingCall<Buffer, Buffer> {
  const handler = method.duplexHandler;
  if (handler === undefined) throw new TypeError(`${method.name} is no duplex method`);
  return (stream) => {
    const call = pipeline.begin(method, grpcCallMeta(stream, undefined));
    const refuse = (error: unknown): void => {
      const mapped = call.toError(error);
      stream.emit("error", toGrpcError(mapped, call.requestId));
      call.end(mapped);
    };
    const serve = (context: ServerCallContext): void => {
      if (stream.destroyed) call.end(callerGoneError());
      else open(stream, call, context, method, handler, pipeline);
    };
    try {
      const context = call.admit();
      // Nothing is read until the handler has set its own handlers, so a policy that asks somebody loses no message.
      if (context instanceof Promise) context.then(serve).catch(refuse);
      else serve(context);
    } catch (error) {
      refuse(error);
    }
  };
}

function open(
  stream: GrpcStream,
  call: CallInProgress,
  context: ServerCallContext,
  method: ServedMethod,
  handler: DuplexHandler<unknown, unknown>,
  pipeline: Pipeline,
): void {
  const core = new DuplexCore<unknown, unknown>({
    transport: serverTransport(stream, call.requestId),
    decode: (bytes) => method.codec.readRequest(bytes),
    encode: (message) => method.codec.writeResponse(message),
    toError: (error) => call.toError(error),
    closed(error) {
      call.scope.abort(error ?? callerGoneError());
      call.end(error);
    },
    report: (error) =>
      pipeline.logger.error(
        { err: error, request_id: call.requestId, rpc_method: method.name },
        "the close handler of a stream failed",
      ),
  });
  // The deadline, or the server's end; the scope aborts with errors of ours only.
  call.scope.signal.addEventListener("abort", () => core.fail(call.scope.signal.reason as HeadroomError), {
    once: true,
  });
  callGuarded(
    () => handler(core, context),
    (error) => core.fail(call.toError(error)),
  );
  connect(stream, core);
}

function connect(stream: GrpcStream, core: DuplexCore<unknown, unknown>): void {
  let finished = false;
  stream.on("drain", () => core.drained());
  stream.on("end", () => core.peerEnded());
  // Our status has been handed over, so what follows is a clean end.
  stream.on("finish", () => {
    finished = true;
  });
  stream.on("close", () => core.transportClosed(finished ? null : callerGoneError()));
  stream.on("data", (bytes: Buffer) => core.received(bytes));
}

function serverTransport(stream: GrpcStream, requestId: string): DuplexTransport {
  return {
    write: (bytes, written) => stream.write(bytes, written),
    end: () => void stream.end(),
    // grpc-js takes an "error" event for the status to send, after what is queued.
    fail: (error) => void (stream.destroyed || stream.emit("error", toGrpcError(error, requestId))),
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
  };
}
