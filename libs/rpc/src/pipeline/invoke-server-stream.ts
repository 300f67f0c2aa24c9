import type { ServerStreamHandler } from "../call.ts";
import type { CallMeta } from "../server/method-table.ts";
import { callerGoneError, unlessAborted } from "./call-scope.ts";
import type { MethodCodec } from "./codec.ts";
import type { MethodFacts, Pipeline } from "./pipeline.ts";

/** Runs one server stream through the pipeline, message by message as they are taken. Throws only HeadroomError. */
export async function* invokeServerStream(
  pipeline: Pipeline,
  method: MethodFacts,
  codec: MethodCodec,
  handler: ServerStreamHandler<unknown, unknown>,
  request: Uint8Array,
  meta: CallMeta,
): AsyncGenerator<Uint8Array, void, undefined> {
  const call = pipeline.begin(method, meta);
  let messages: AsyncIterator<unknown> | undefined;
  try {
    const context = await call.admit();
    messages = handler(codec.readRequest(request), context)[Symbol.asyncIterator]();
    for (;;) {
      // A handler that waits for news must not keep a stream that its caller has left.
      const next = await unlessAborted(messages.next(), call.scope.signal);
      if (next.done === true) break;
      yield codec.writeResponse(next.value);
    }
    messages = undefined;
    call.end(null);
  } catch (error) {
    const mapped = call.toError(error);
    call.end(mapped);
    throw mapped;
  } finally {
    // Still there: the handler has not come to its end by itself.
    if (messages !== undefined) leave(messages);
    call.scope.abort(callerGoneError());
    call.end(callerGoneError());
  }
}

/** Lets the handler run its `finally`; what it throws there, nobody waits for. It may hang in `next`, so it is not awaited. */
function leave(messages: AsyncIterator<unknown>): void {
  const left = messages.return?.();
  if (left !== undefined) Promise.resolve(left).catch(() => undefined);
}
