/** From a fleet's verdict to the one reason under which a task waits. */
import type { FleetVerdict } from "./explain.ts";
import type { JudgedFleet } from "./judge.ts";
import type { PauseReason } from "./reasons.ts";

/**
 * The reason for a verdict. Where room itself is not what is missing (an agent lacks only its work stream, or is set
 * aside by an operator or its owner), the reason says so: waiting for running work would not help.
 */
export function pauseReason(
  verdict: FleetVerdict,
  { lacksOnlyStream, lacksOnlyLeave }: Pick<JudgedFleet, "lacksOnlyStream" | "lacksOnlyLeave">,
): PauseReason | null {
  switch (verdict) {
    case "fits":
      return null;
    case "no_agent_online":
      return "NO_AGENT_ONLINE";
    case "never":
      return "NO_AGENT_CAN_EVER_FIT";
    case "not_now":
      if (lacksOnlyStream) return "AGENT_NOT_ATTACHED";
      return lacksOnlyLeave ? "ALL_CORDONED" : "NO_AGENT_FITS_NOW";
  }
}
