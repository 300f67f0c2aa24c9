/**
 * The fleet while a batch is being placed: what the batch has taken so far, and, for questions that the fleet's ranking does not
 * answer, the agents on which each shape of needs fits.
 */
import type { AgentView } from "./agent-view.ts";
import { explain, type FleetExplanation, REFUSAL_EXPLAINED_AGENTS } from "./explain.ts";
import { fit, type FitOptions } from "./fit.ts";
import type { Needs } from "./needs.ts";
import type { Candidate, ChosenCandidate } from "./placement.ts";

/** Where candidates come from. */
export interface PlacementFleet {
  /** All agents on which the needs fit. */
  candidates(needs: Needs, options: FitOptions): readonly Candidate[];
  /** All agents as a policy ranks them; absent: candidates are asked for. */
  readonly ranked?: RankedFleet;
  /** Why the needs fit nowhere, with these agents as they are given here instead of as the fleet knows them. */
  explain(needs: Needs, options: FitOptions, changed: ReadonlyMap<string, AgentView>): FleetExplanation;
}

/** A fleet that is kept in the order of a policy: the best of all agents is known without looking at each. */
export interface RankedFleet {
  /** The best agent, with what has been put; null: the needs fit nowhere. Some questions are not asked of all agents. */
  choose(needs: Needs, options: FitOptions): ChosenCandidate | null | "not ranked";
  /** This agent has changed within the batch. */
  put(view: AgentView): void;
  /** Of what has been put, only this still holds. */
  goBack(changed: ReadonlyMap<string, AgentView>): void;
}

/** A fleet that is small enough to be looked at whole. */
export function wholeFleet(views: readonly AgentView[]): PlacementFleet {
  return {
    candidates: (needs, options) => candidatesAmong(views, needs, options),
    explain: (needs, options, changed) => {
      const current = views.map((view) => changed.get(view.agentId) ?? view);
      return explain(current, needs, options, REFUSAL_EXPLAINED_AGENTS);
    },
  };
}

/** Those of the agents on which the needs fit. */
export function candidatesAmong(
  views: Iterable<AgentView>,
  needs: Needs,
  options: FitOptions = {},
): readonly Candidate[] {
  const candidates: Candidate[] = [];
  for (const view of views) {
    const verdict = fit(view, needs, options);
    if (verdict.kind === "fits") candidates.push({ view, fit: verdict });
  }
  return candidates;
}

interface CurrentCandidates {
  /** Kept up with what the batch takes. */
  readonly candidates: Candidate[];
  /** How many of the changes it has taken in. */
  seen: number;
}

export class PlacementBoard {
  readonly #fleet: PlacementFleet;
  #changed = new Map<string, AgentView>();
  /** The agents that have changed, one entry for each change. */
  readonly #changes: string[] = [];
  #current = new Map<string, CurrentCandidates>();

  constructor(fleet: PlacementFleet) {
    this.#fleet = fleet;
  }

  get ranked(): RankedFleet | undefined {
    return this.#fleet.ranked;
  }

  /** The agent has changed by a placement. */
  put(view: AgentView): void {
    this.#changed.set(view.agentId, view);
    this.ranked?.put(view);
    this.#changes.push(view.agentId);
  }

  /** Where the board stands, to come back to. */
  mark(): () => void {
    const changed = new Map(this.#changed);
    return () => {
      this.#changed = changed;
      this.ranked?.goBack(changed);
      // They were made on a fuller fleet.
      this.#current = new Map();
    };
  }

  /** `key` tells one question (needs and options) from another. Empty: no agent fits. */
  candidates(key: string, needs: Needs, options: FitOptions): readonly Candidate[] {
    const known = this.#current.get(key);
    if (known !== undefined) this.#update(known, needs, options);
    const current = known ?? this.#find(needs, options);
    this.#current.set(key, current);
    return current.candidates;
  }

  /** Why the needs fit nowhere, with what the batch has taken. */
  explain(needs: Needs, options: FitOptions): FleetExplanation {
    return this.#fleet.explain(needs, options, this.#changed);
  }

  /** Looks only at agents that have changed since: in a long batch of one shape that is one agent for each request. */
  #update(current: CurrentCandidates, needs: Needs, options: FitOptions): void {
    const { candidates } = current;
    for (const agentId of new Set(this.#changes.slice(current.seen))) {
      const place = candidates.findIndex(({ view }) => view.agentId === agentId);
      const view = this.#changed.get(agentId);
      if (place >= 0 && view !== undefined) candidates.splice(place, 1, ...candidatesAmong([view], needs, options));
    }
    current.seen = this.#changes.length;
  }

  #find(needs: Needs, options: FitOptions): CurrentCandidates {
    const candidates = this.#fleet.candidates(needs, options).flatMap((candidate) => {
      // The fleet does not know what the batch has taken.
      const view = this.#changed.get(candidate.view.agentId);
      return view === undefined ? [candidate] : candidatesAmong([view], needs, options);
    });
    return { candidates, seen: this.#changes.length };
  }
}
