/** All agents in the order of a policy: the best one that the predicate lets a task have. */
import {
  type AgentView,
  type Candidate,
  candidatesAmong,
  type ChosenCandidate,
  type FitOptions,
  type Needs,
  type RankedFleet,
  type RulePolicy,
} from "@headroom/scheduling";
import { type Bits, eachBit, hasBit } from "../fleet/index/bits.ts";
import type { CapacityIndex } from "../fleet/index/capacity-index.ts";
import type { Draft } from "../reservations/draft.ts";
import type { AgentStates } from "./agent-states.ts";
import { selectFitting } from "./select-fitting.ts";

/** So few are compared one with another; of more, the ranking of all agents tells the best. */
const FEW = 64;

export interface RankedFleetOptions {
  readonly draft: Draft;
  readonly index: CapacityIndex;
  readonly states: AgentStates;
  readonly policy: RulePolicy;
  /** Told of each choice, before it changes the agent. */
  readonly onChosen: (agentId: string, positions: readonly number[], needs: Needs) => void;
}

/** Agents that a question may be about. */
interface Found {
  readonly bits: Bits;
  /** Their ids, where they are few. */
  readonly few: readonly string[] | null;
}

export function rankedFleet({ draft, index, states, policy, onChosen }: RankedFleetOptions): RankedFleet {
  states.follow(draft);
  // The index knows the fleet as it was before these changed.
  const changed = new Set<string>();
  for (const { agentId } of draft.changedAgents()) changed.add(agentId);
  // A batch asks for the same needs again and again, each time with other options perhaps: those are asked of the candidates.
  const known = new Map<Needs, Found>();

  function foundFor(needs: Needs): Found {
    const found = known.get(needs) ?? find(index, needs);
    known.set(needs, found);
    return found;
  }

  function choose(needs: Needs, options: FitOptions): ChosenCandidate | null {
    const found = foundFor(needs);
    const ask = (agentId: string): Candidate | null => {
      if (!changed.has(agentId) && !isIn(found.bits, index.slotOf(agentId))) return null;
      const view = states.viewOf(agentId);
      return view === undefined ? null : (candidatesAmong([view], needs, options)[0] ?? null);
    };
    // The last that was asked is mostly the one that is chosen.
    const last: { candidate: Candidate | null } = { candidate: null };
    const accepts = (agentId: string): boolean => (last.candidate = ask(agentId)) !== null;
    const isFew = found.few !== null && found.few.length + changed.size <= FEW;
    const chosen = isFew
      ? policy.chooseOf(new Set([...(found.few ?? []), ...changed]), needs, accepts)
      : policy.chooseOfAll(needs, accepts);
    if (chosen === null) return null;
    const isLast = last.candidate?.view.agentId === chosen.agentId;
    const candidate = isLast ? last.candidate : ask(chosen.agentId);
    if (candidate === null) throw new Error("an agent that was accepted a moment ago");
    onChosen(chosen.agentId, chosen.positions, needs);
    const { view } = candidate;
    return { candidate, choice: { agentId: view.agentId, cardIds: policy.cardIds(view, chosen.positions) } };
  }

  return {
    choose: (needs, options) => (isRanked(needs, options) ? choose(needs, options) : "not ranked"),
    put(view: AgentView): void {
      changed.add(view.agentId);
      states.putDrafted(view);
    },
    goBack(still: ReadonlyMap<string, AgentView>): void {
      states.follow(draft);
      for (const view of still.values()) states.putDrafted(view);
    },
  };
}

/** What is found for needs is found among attached desktops, whatever a single request avoids. */
function isRanked(needs: Needs, { agentTypes, requireAttached }: FitOptions): boolean {
  return agentTypes === undefined && requireAttached !== false && needs.agentId === null;
}

function isIn(bits: Bits, slot: number | undefined): boolean {
  return slot !== undefined && hasBit(bits, slot);
}

function find(index: CapacityIndex, needs: Needs): Found {
  const bits = selectFitting(index, needs).slice();
  const few: string[] = [];
  let count = 0;
  eachBit(bits, (slot) => {
    count += 1;
    if (count <= FEW) few.push(index.agentAt(slot).agentId);
  });
  return { bits, few: count <= FEW ? few : null };
}
