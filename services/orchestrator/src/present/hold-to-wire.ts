import { timestampFromMs, wire } from "@headroom/contracts";
import type { HoldRecord } from "../store/model.ts";

/** Undefined: nobody holds it. */
export function holdToWire(hold: HoldRecord | null): wire.Hold | undefined {
  if (hold === null) return undefined;
  return wire.Hold.fromPartial({ reason: hold.reason, heldBy: hold.heldBy, heldAt: timestampFromMs(hold.heldAtMs) });
}
