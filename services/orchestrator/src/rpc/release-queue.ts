import { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { holdToWire } from "../present/hold-to-wire.ts";
import { callOf } from "./call-of.ts";
import type { HandlerDeps } from "./deps.ts";

/** Lets what waits start again. A queue that is not held is fine. */
export function releaseQueue(deps: HandlerDeps): UnaryHandler<wire.ReleaseQueueRequest, wire.ReleaseQueueResponse> {
  return async ({ reason, releasedBy }, context) => {
    const released = await deps.store.releaseQueue({ reason, by: releasedBy, call: callOf(context) });
    context.logger.info({ released_by: releasedBy, reason, was_held: released !== null }, "queue released");
    // Wakes the loop.
    deps.queueHold.changed(null);
    return wire.ReleaseQueueResponse.fromPartial({ released: holdToWire(released) });
  };
}
