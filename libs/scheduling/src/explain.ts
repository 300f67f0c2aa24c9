/** Why a task runs nowhere: the verdict of every agent, the nearest miss, and what would unblock it. */
import type { AgentView } from "./agent-view.ts";
import { fit, type FitOptions, type FitsNot } from "./fit.ts";
import type { Miss, MissCode } from "./miss.ts";
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

/** Judges the fleet with the same predicate that reserves. */
export function explain(
  views: readonly AgentView[],
  needs: Needs,
  options: FitOptions = {},
  maxAgents: number = DEFAULT_EXPLAINED_AGENTS,
): FleetExplanation {
  const judged = views.map((view) => ({ view, fit: fit(view, needs, options) }));
  const ranked = judged
    .map(({ view, fit: found }) => ({ view, found, rank: found.kind === "fits" ? FITS_RANK : rankOf(found) }))
    .sort((a, b) => compareRanks(a.rank, b.rank) || (a.view.agentId < b.view.agentId ? -1 : 1));
  const agents = ranked.slice(0, maxAgents).map(({ view }) => explainAgent(view, needs, options));
  const verdict = fleetVerdict(judged.map(({ view, fit: found }) => ({ view, verdict: verdictOf(found) })));
  const best = ranked[0];
  const nearest =
    verdict === "fits" || best === undefined || best.found.kind === "fits"
      ? null
      : { agentId: best.view.agentId, miss: nearestMiss(best.found.misses) };
  const reason = pauseReason(
    verdict,
    judged.flatMap(({ view, fit: found }) => (found.kind === "no" ? [{ view, fit: found }] : [])),
  );
  const eligible = judged.filter(({ fit: found }) => found.kind === "fits" || isEligible(found));
  const sentence = fleetSentence(verdict, reason, nearest?.miss ?? null, {
    agentsJudged: views.length,
    eligible: eligible.length,
    eligibleOnline: eligible.filter(({ view }) => view.status === "online").length,
    isPinned: needs.agentId !== null,
  });
  return { verdict, reason, sentence, nearest, agents, agentsJudged: views.length };
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

/** Permanent before passing, state before amounts, larger shortages (as a share of the need) before smaller ones. */
function weightOf(found: Miss): number {
  const shortShare =
    found.shortBy === null || found.needed === null || found.needed === 0 ? 0 : found.shortBy / found.needed;
  return (found.permanent ? 4 : 0) + (found.dimension === "state" ? 2 : 0) + shortShare;
}

function verdictOf(found: ReturnType<typeof fit>): Verdict {
  if (found.kind === "fits") return "fits";
  return found.never ? "never" : "not_now";
}

function fleetVerdict(judged: readonly { readonly view: AgentView; readonly verdict: Verdict }[]): FleetVerdict {
  if (judged.some(({ verdict }) => verdict === "fits")) return "fits";
  if (!judged.some(({ view }) => view.status === "online")) return "no_agent_online";
  return judged.every(({ verdict }) => verdict === "never") ? "never" : "not_now";
}

/** How far an agent is from taking the task, most telling figure first. */
type Rank = readonly [
  never: number,
  notMeant: number,
  unreachable: number,
  blocked: number,
  misses: number,
  shortShare: number,
];

const FITS_RANK: Rank = [-1, 0, 0, 0, 0, 0];

const NOT_MEANT: ReadonlySet<MissCode> = new Set<MissCode>([
  "wrong_agent",
  "wrong_type",
  "wrong_pool",
  "labels_mismatch",
]);

/** The task may run on it, by name, type, pool and labels. */
function isEligible({ misses }: FitsNot): boolean {
  return !misses.some(({ code }) => NOT_MEANT.has(code));
}

const UNREACHABLE: ReadonlySet<MissCode> = new Set<MissCode>(["not_online"]);

function rankOf(found: FitsNot): Rank {
  const { misses, never } = found;
  return [
    Number(never),
    Number(!isEligible(found)),
    Number(misses.some(({ code }) => UNREACHABLE.has(code))),
    Number(misses.some(({ dimension }) => dimension === "state")),
    misses.length,
    misses.reduce((sum, found_) => sum + weightOf(found_), 0),
  ];
}

function compareRanks(a: Rank, b: Rank): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || a[3] - b[3] || a[4] - b[4] || a[5] - b[5];
}
