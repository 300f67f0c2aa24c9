import { type Experience, type Needs, placementShape, type RulePolicy } from "@headroom/scheduling";
import type { CapacityIndex } from "../fleet/index/capacity-index.ts";
import type { Draft } from "../reservations/draft.ts";
import type { ReserveOptions } from "../reservations/reserve.ts";
import type { AgentStates } from "./agent-states.ts";
import { rankedFleet } from "./ranked-fleet.ts";

export interface PlacingOptions {
  readonly index: CapacityIndex;
  readonly states: AgentStates;
  readonly experience: Experience;
}

/** Reservations are placed by this policy, among all agents. Each choice teaches, but for those that nobody keeps. */
export function placingBy(
  policy: RulePolicy,
  { index, states, experience }: PlacingOptions,
  isKept: boolean,
): Pick<ReserveOptions, "policy" | "ranked"> {
  const onChosen = (agentId: string, positions: readonly number[], needs: Needs): void => {
    const state = states.slots.stateOf(agentId);
    if (isKept && state !== undefined) experience.history.note(state, positions, placementShape(needs));
  };
  return { policy, ranked: (draft: Draft) => rankedFleet({ draft, index, states, policy, onChosen }) };
}
