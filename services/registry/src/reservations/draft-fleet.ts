/** The fleet as placement sees it: the index tells where room is, the draft what is promised on top of it. */
import {
  type AgentView,
  candidatesAmong,
  type Candidate,
  explanationOf,
  type FitOptions,
  type FleetExplanation,
  type Needs,
  type PlacementFleet,
  type RankedFleet,
  REFUSAL_EXPLAINED_AGENTS,
} from "@headroom/scheduling";
import { viewOf } from "../fleet/agent-views.ts";
import type { CapacityIndex } from "../fleet/index/capacity-index.ts";
import { judgeFleet } from "../fleet/index/judge-fleet.ts";
import type { Draft } from "./draft.ts";

export function draftFleet(draft: Draft, index: CapacityIndex, ranked: RankedFleet): PlacementFleet {
  return {
    ranked,
    explain: (needs, options, changed) => explainDraft(draft, index, needs, options, changed),
    candidates: (needs, options) => candidatesOf(draft, needs, options),
  };
}

/** Why the needs fit nowhere, on the fleet as the draft and then `changed` have it. */
export function explainDraft(
  draft: Draft,
  index: CapacityIndex,
  needs: Needs,
  options: FitOptions,
  changed: ReadonlyMap<string, AgentView> = new Map(),
): FleetExplanation {
  const views = new Map<string, AgentView>();
  for (const agent of draft.changedAgents()) views.set(agent.agentId, viewOf(agent));
  for (const [agentId, view] of changed) views.set(agentId, view);
  const judged = judgeFleet(index, needs, options, REFUSAL_EXPLAINED_AGENTS, views);
  return explanationOf(judged, needs, options, REFUSAL_EXPLAINED_AGENTS);
}

/** For what is not ranked: a task that names its agent, and whoever wants agents that the index does not keep. */
function candidatesOf(draft: Draft, needs: Needs, options: FitOptions): readonly Candidate[] {
  if (needs.agentId === null) return candidatesAmong(draft.views(), needs, options);
  const agent = draft.agent(needs.agentId);
  return agent === undefined ? [] : candidatesAmong([viewOf(agent)], needs, options);
}
