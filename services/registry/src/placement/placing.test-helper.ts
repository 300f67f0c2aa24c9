import { CardHistory, type RulePolicy, TaskMix } from "@headroom/scheduling";
import type { Fleet } from "../fleet/fleet.ts";
import type { CapacityIndex } from "../fleet/index/capacity-index.ts";
import type { ReserveOptions } from "../reservations/reserve.ts";
import { AgentStates } from "./agent-states.ts";
import { PlacementPolicies } from "./placement-policies.ts";
import { placingBy } from "./placing.ts";

/** Placing as the service places, by the policy of that name, with all parts made for one fleet. */
export function placingOn(
  fleet: Fleet,
  index: CapacityIndex,
  policyName: string,
): Pick<ReserveOptions, "policy" | "ranked"> {
  const states = new AgentStates(fleet);
  const experience = { mix: new TaskMix(), history: new CardHistory() };
  const policy: RulePolicy | null = new PlacementPolicies(policyName, states, experience).named("");
  if (policy === null) throw new RangeError(`no placement policy is called ${policyName}`);
  return placingBy(policy, { index, states, experience }, true);
}
