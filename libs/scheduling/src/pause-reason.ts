/** From a fleet's verdict to the one reason under which a task waits. */
import type { AgentView } from "./agent-view.ts";
import type { FleetVerdict } from "./explain.ts";
import type { FitsNot } from "./fit.ts";
import type { MissCode } from "./miss.ts";
import type { PauseReason } from "./reasons.ts";

const NOT_ATTACHED: ReadonlySet<MissCode> = new Set<MissCode>(["not_attached"]);
const SET_ASIDE: ReadonlySet<MissCode> = new Set<MissCode>(["cordoned", "draining", "not_attached"]);

/**
 * The reason for a verdict. Where room itself is not what is missing (an agent lacks only its work stream, or is set
 * aside by an operator), the reason says so: waiting for running work would not help.
 */
export function pauseReason(
  verdict: FleetVerdict,
  refused: readonly { readonly view: AgentView; readonly fit: FitsNot }[],
): PauseReason | null {
  switch (verdict) {
    case "fits":
      return null;
    case "no_agent_online":
      return "NO_AGENT_ONLINE";
    case "never":
      return "NO_AGENT_CAN_EVER_FIT";
    case "not_now":
      break;
  }
  const online = refused.filter(({ view }) => view.status === "online").map(({ fit }) => fit);
  if (online.some((found) => lacksOnly(found, NOT_ATTACHED))) return "AGENT_NOT_ATTACHED";
  if (online.some((found) => lacksOnly(found, SET_ASIDE))) return "ALL_CORDONED";
  return "NO_AGENT_FITS_NOW";
}

function lacksOnly(found: FitsNot, codes: ReadonlySet<MissCode>): boolean {
  return found.misses.every(({ code }) => codes.has(code));
}
