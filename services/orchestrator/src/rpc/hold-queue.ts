import { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { holdToWire } from "../present/hold-to-wire.ts";
import { callOf } from "./call-of.ts";
import type { HandlerDeps } from "./deps.ts";

/** Keeps everything that waits from starting. Twice is fine. */
export function holdQueue(deps: HandlerDeps): UnaryHandler<wire.HoldQueueRequest, wire.HoldQueueResponse> {
  return async ({ reason, heldBy }, context) => {
    const hold = await deps.store.holdQueue({ reason, by: heldBy, call: callOf(context) });
    deps.queueHold.changed(hold);
    context.logger.info({ held_by: heldBy, reason }, "queue held");
    // It holds without: nobody waits for it.
    deps.store
      .takeClaimsAway()
      .catch((error: unknown) => context.logger.warn({ err: error }, "claims are left to end by themselves"));
    deps.loop.wake("the queue is held");
    return wire.HoldQueueResponse.fromPartial({ hold: holdToWire(hold) });
  };
}
