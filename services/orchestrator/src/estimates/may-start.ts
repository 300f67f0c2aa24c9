import { wire } from "@headroom/contracts";
import type { GateAnswer } from "../placing/gate.ts";
import type { CapacityAnswer } from "../registry/port.ts";

/** What does not pass by itself, however much work ends: somebody has to do something. */
const lasting: ReadonlySet<wire.MissCode> = new Set([
  wire.MissCode.MISS_CODE_NOT_ONLINE,
  wire.MissCode.MISS_CODE_NOT_ATTACHED,
  wire.MissCode.MISS_CODE_CORDONED,
  wire.MissCode.MISS_CODE_DRAINING,
  wire.MissCode.MISS_CODE_OWNER_HOLD,
]);

/**
 * In how long the registry expects room, null: unknown; or that nothing could start, whatever ends meanwhile. Agents are told nearest
 * first, and those that lack nothing but room before those that lack more: a part of them is enough to look at.
 */
export function roomAhead(
  { explanation, roomInMs }: CapacityAnswer,
  gate: GateAnswer,
): { readonly kind: "expected"; readonly inMs: number | null } | { readonly kind: "nothing_can_start" } {
  const isShut = gate.kind === "held";
  if (isShut && gate.reason !== "FLEET_BELOW_THRESHOLD") return { kind: "nothing_can_start" };
  const takesWork = ({ never, misses }: wire.AgentVerdict): boolean =>
    !never && !misses.some(({ code }) => lasting.has(code));
  if (!explanation.agents.some(takesWork)) return { kind: "nothing_can_start" };
  const fits = explanation.verdict === wire.FleetVerdict.FLEET_VERDICT_FITS;
  // Room that the gate keeps shut is no room yet: it opens when something ends, and nobody knows whether the next end is enough.
  if (fits && isShut) return { kind: "expected", inMs: null };
  return { kind: "expected", inMs: fits ? 0 : roomInMs };
}
