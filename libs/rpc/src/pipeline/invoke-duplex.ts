import type { DuplexHandler } from "../call.ts";
import { callGuarded } from "../duplex/call-guarded.ts";
import { DuplexCore, type DuplexTransport } from "../duplex/duplex-core.ts";
import type { HeadroomError } from "../errors.ts";
import type { CallMeta } from "../server/method-table.ts";
import { callerGoneError } from "./call-scope.ts";
import type { MethodCodec } from "./codec.ts";
import type { CallInProgress, MethodFacts, Pipeline } from "./pipeline.ts";
import type { ServerCallContext } from "./server-call-context.ts";

/** What a transport tells of the other side of a duplex call. */
export type DuplexReceiver = Pick<
  DuplexCore<unknown, unknown>,
  "received" | "peerEnded" | "drained" | "transportClosed"
>;

/** The transport's side of one duplex call that is served. */
export interface DuplexCarrier extends DuplexTransport {
  /** Whether the caller went away while the call was admitted. */
  isGone(): boolean;
  /** The handler listens: what has come, and what comes, goes to `receiver`. Not called for a call that was refused: `fail` was. */
  begin(receiver: DuplexReceiver): void;
}

/** Runs one duplex call through the pipeline. Never throws: what is wrong is told with the carrier's `fail`. */
export function invokeDuplex(
  pipeline: Pipeline,
  method: MethodFacts,
  codec: MethodCodec,
  handler: DuplexHandler<unknown, unknown>,
  meta: CallMeta,
  carrier: DuplexCarrier,
): void {
  const call = pipeline.begin(method, meta);
  const refuse = (error: unknown): void => {
    const mapped = call.toError(error);
    carrier.fail(mapped);
    call.end(mapped);
  };
  const serve = (context: ServerCallContext): void => {
    if (carrier.isGone()) call.end(callerGoneError());
    else open(pipeline, method, codec, handler, call, context, carrier);
  };
  try {
    const context = call.admit();
    // Nothing is read until the handler has set its own handlers, so a policy that asks somebody loses no message.
    if (context instanceof Promise) context.then(serve).catch(refuse);
    else serve(context);
  } catch (error) {
    refuse(error);
  }
}

function open(
  pipeline: Pipeline,
  method: MethodFacts,
  codec: MethodCodec,
  handler: DuplexHandler<unknown, unknown>,
  call: CallInProgress,
  context: ServerCallContext,
  carrier: DuplexCarrier,
): void {
  const core = new DuplexCore<unknown, unknown>({
    transport: carrier,
    decode: (bytes) => codec.readRequest(bytes),
    encode: (message) => codec.writeResponse(message),
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
  carrier.begin(core);
}
