/** Why a task runs nowhere: the verdict of every agent, the nearest miss, and what would unblock it. */
import type { AgentView } from "./agent-view.ts";
import { fit, type Fit, type FitOptions } from "./fit.ts";
import { judgeAll, type JudgedFleet, weightOf } from "./judge.ts";
import type { Miss } from "./miss.ts";
import type { Needs } from "./needs.ts";
import { pauseReason } from "./pause-reason.ts";
import type { PauseReason } from "./reasons.ts";
import { fleetSentence, missSentence } from "./sentences.ts";
import { unblock, type Unblock } from "./unblock.ts";

export type Verdict = "fits" | "not_now" | "never";

export interface AgentVerdict {
  readonly agentId: string;
  readonly verdict: Verdict;
  /** Empty exactly when it fits. */
  readonly misses: readonly Miss[];
  /** Of the misses, the one that matters most: a permanent one, else the agent's state, else the largest shortage. */
  readonly nearest: Miss | null;
  readonly unblock: Unblock;
  /** Null when it fits. */
  readonly sentence: string | null;
}

export type FleetVerdict = "fits" | "not_now" | "never" | "no_agent_online";

export interface FleetExplanation {
  readonly verdict: FleetVerdict;
  /** Null when it fits. */
  readonly reason: PauseReason | null;
  readonly sentence: string;
  /** The agent that comes closest, and what it lacks; null when one fits or none is known. */
  readonly nearest: { readonly agentId: string; readonly miss: Miss } | null;
  /** Nearest first; at most `maxAgents`. */
  readonly agents: readonly AgentVerdict[];
  readonly agentsJudged: number;
}

/** Agents listed in an explanation unless told otherwise. */
export const DEFAULT_EXPLAINED_AGENTS = 20;
/** Agents listed in the explanation of a refusal: whoever wants more asks for an explanation. */
export const REFUSAL_EXPLAINED_AGENTS = 3;

/** Judges the fleet with the same predicate that reserves. */
export function explain(
  views: readonly AgentView[],
  needs: Needs,
  options: FitOptions = {},
  maxAgents: number = DEFAULT_EXPLAINED_AGENTS,
): FleetExplanation {
  return explanationOf(judgeAll(views, needs, options, Math.max(1, maxAgents)), needs, options, maxAgents);
}

/** `judged` must hold the nearest agent, even when `maxAgents` is 0. */
export function explanationOf(
  judged: JudgedFleet,
  needs: Needs,
  options: FitOptions,
  maxAgents: number,
): FleetExplanation {
  const { agentsJudged, ofType, eligible, eligibleOnline, nearest: views } = judged;
  const [best] = views;
  const found = best === undefined ? null : fit(best, needs, options);
  const verdict = fleetVerdict(judged, found);
  const isRefused = verdict !== "fits" && best !== undefined && found?.kind === "no";
  const nearest = isRefused ? { agentId: best.agentId, miss: nearestMiss(found.misses) } : null;
  const reason = pauseReason(verdict, judged);
  const isPinned = needs.agentId !== null;
  const scope = { agentsJudged, ofType, eligible, eligibleOnline, isPinned };
  const sentence = fleetSentence(verdict, reason, nearest?.miss ?? null, scope);
  const agents = views.slice(0, maxAgents).map((view) => explainAgent(view, needs, options));
  return { verdict, reason, sentence, nearest, agents, agentsJudged };
}

/** One agent's verdict. */
export function explainAgent(view: AgentView, needs: Needs, options: FitOptions = {}): AgentVerdict {
  const found = fit(view, needs, options);
  const verdict = verdictOf(found);
  const wayOut = unblock(view, needs, options, found);
  if (found.kind === "fits") {
    return { agentId: view.agentId, verdict, misses: [], nearest: null, unblock: wayOut, sentence: null };
  }
  const nearest = nearestMiss(found.misses);
  const sentence = missSentence(nearest);
  return { agentId: view.agentId, verdict, misses: found.misses, nearest, unblock: wayOut, sentence };
}

/** The miss to name first. `misses` is never empty in a `FitsNot`. */
export function nearestMiss(misses: readonly Miss[]): Miss {
  const [first, ...others] = misses;
  if (first === undefined) throw new RangeError("an agent on which nothing is missing has no nearest miss");
  return others.reduce((best, other) => (weightOf(other) > weightOf(best) ? other : best), first);
}

function verdictOf(found: ReturnType<typeof fit>): Verdict {
  if (found.kind === "fits") return "fits";
  return found.never ? "never" : "not_now";
}

/**
 * The nearest agent tells: where it can never take the task, none can. Machines that are away are known too, so this is said before that nobody is
 * online. Where no agent is known that takes work at all, nothing is ruled out.
 */
function fleetVerdict({ ofType, ofTypeOnline }: JudgedFleet, nearest: Fit | null): FleetVerdict {
  if (nearest?.kind === "fits") return "fits";
  if (nearest === null || ofType === 0) return "no_agent_online";
  if (nearest.never) return "never";
  return ofTypeOnline === 0 ? "no_agent_online" : "not_now";
}
