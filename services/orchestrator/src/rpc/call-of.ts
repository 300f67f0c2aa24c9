import type { CallContext } from "@headroom/rpc";
import type { CallTrace } from "../store/model.ts";

/** The call, as the history names it. */
export function callOf(context: CallContext): CallTrace {
  return { requestId: context.requestId, traceparent: context.traceparent ?? "" };
}
