import { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { holdToWire } from "../present/hold-to-wire.ts";
import { callOf } from "./call-of.ts";
import type { HandlerDeps } from "./deps.ts";

/** Keeps everything that waits from starting. Twice is fine. */
export function holdQueue(deps: HandlerDeps): UnaryHandler<wire.HoldQueueRequest, wire.HoldQueueResponse> {
  return async ({ reason, heldBy }, context) => {
    const hold = await deps.store.holdQueue({ reason, by: heldBy, call: callOf(context) });
    context.logger.info({ held_by: heldBy, reason }, "queue held");
    deps.queueHold.changed(hold);
    deps.loop.wake("the queue is held");
    return wire.HoldQueueResponse.fromPartial({ hold: holdToWire(hold) });
  };
}
