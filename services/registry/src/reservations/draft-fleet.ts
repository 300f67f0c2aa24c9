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
  type PlacementPolicy,
  type RankedFleet,
  REFUSAL_EXPLAINED_AGENTS,
  type Shortlist,
} from "@headroom/scheduling";
import { viewOf } from "../fleet/agent-views.ts";
import { hasBit } from "../fleet/index/bits.ts";
import type { CapacityIndex, OrderFigure } from "../fleet/index/capacity-index.ts";
import { judgeFleet } from "../fleet/index/judge-fleet.ts";
import type { Draft } from "./draft.ts";
import { selectFitting } from "./select-fitting.ts";

/** Ranked, by policies that rank; by others in their rough order. */
export function draftFleet(
  draft: Draft,
  index: CapacityIndex,
  policy: PlacementPolicy,
  ranked?: RankedFleet,
): PlacementFleet {
  const order = roughOrder(policy);
  return {
    ...(ranked !== undefined && { ranked }),
    explain: (needs, options, changed) => explainDraft(draft, index, needs, options, changed),
    shortlist: (needs, options, limit) => shortlist(draft, index, order, needs, options, limit),
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

function roughOrder({ name, roughScore }: PlacementPolicy): OrderFigure {
  return { name: `placement ${name}`, valueOf: (agent) => roughScore?.(viewOf(agent)) ?? 0 };
}

function shortlist(
  draft: Draft,
  index: CapacityIndex,
  figure: OrderFigure,
  needs: Needs,
  options: FitOptions,
  limit: number,
): Shortlist {
  // The index keeps only agents that take any work; whoever wants others has to look at all.
  if (options.agentTypes !== undefined) {
    return { candidates: candidatesAmong(draft.views(), needs, options), isComplete: true };
  }
  const candidates: Candidate[] = [];
  // The index does not know the draft, which may have made room as well as taken it.
  for (const agent of draft.changedAgents()) candidates.push(...candidatesAmong([viewOf(agent)], needs, options));
  if (needs.agentId !== null) {
    const agent = draft.agent(needs.agentId);
    const isNew = agent !== undefined && !draft.isChanged(agent.agentId);
    if (isNew) candidates.push(...candidatesAmong([viewOf(agent)], needs, options));
    return { candidates, isComplete: true };
  }
  const found = selectFitting(index, needs, options);
  let left = limit;
  index.orderBy(figure).walk(null, false, (slot) => {
    if (!hasBit(found, slot) || draft.isChanged(index.agentAt(slot).agentId)) return true;
    const [candidate] = candidatesAmong([index.viewAt(slot)], needs, options);
    if (candidate !== undefined) {
      candidates.push(candidate);
      left -= 1;
    }
    return left > 0;
  });
  return { candidates, isComplete: left > 0 };
}
