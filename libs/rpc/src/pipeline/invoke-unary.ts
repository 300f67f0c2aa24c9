import type { UnaryHandler } from "../call.ts";
import type { CallMeta } from "../server/method-table.ts";
import { unlessAborted } from "./call-scope.ts";
import type { MethodCodec } from "./codec.ts";
import type { MethodFacts, Pipeline } from "./pipeline.ts";

/** Runs one unary call through the pipeline. Rejects only with HeadroomError. */
export async function invokeUnary(
  pipeline: Pipeline,
  method: MethodFacts,
  codec: MethodCodec,
  handler: UnaryHandler<unknown, unknown>,
  request: Uint8Array,
  meta: CallMeta,
): Promise<Uint8Array> {
  const call = pipeline.begin(method, meta);
  try {
    const context = await call.admit();
    const message = codec.readRequest(request);
    // Whose caller has given up before it began changes nothing: it may have been asked again elsewhere, and undone.
    call.scope.signal.throwIfAborted();
    const answer = await unlessAborted(handler(message, context), call.scope.signal);
    const bytes = codec.writeResponse(answer);
    call.end(null);
    return bytes;
  } catch (error) {
    const mapped = call.toError(error);
    call.end(mapped);
    throw mapped;
  }
}
