/** What an explanation has to know of a fleet. Found by looking at every agent here; an index that is quicker must find the same. */
import type { AgentView } from "./agent-view.ts";
import { isOfType } from "./fit-agent.ts";
import { fit, type Fit, type FitOptions, type FitsNot } from "./fit.ts";
import type { Miss, MissCode } from "./miss.ts";
import type { Needs } from "./needs.ts";

export interface JudgedFleet {
  readonly agentsJudged: number;
  /** Agents of the types that take the work, desktops unless other types are asked for, and how many of them are online. */
  readonly ofType: number;
  readonly ofTypeOnline: number;
  /** Agents that the task may run on by name, type, pool and labels, and how many of them are online. */
  readonly eligible: number;
  readonly eligibleOnline: number;
  /** Some online agent lacks nothing but its work stream. */
  readonly lacksOnlyStream: boolean;
  /** Some online agent lacks nothing but its work stream and the leave of an operator or of its owner. */
  readonly lacksOnlyLeave: boolean;
  /** Nearest first: as many as were asked for, or all there are. */
  readonly nearest: readonly AgentView[];
}

/** How far an agent is from taking the task, most telling figure first. */
export type Rank = readonly [
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
const STREAM: ReadonlySet<MissCode> = new Set<MissCode>(["not_attached"]);
const LEAVE: ReadonlySet<MissCode> = new Set<MissCode>(["cordoned", "draining", "owner_hold", "not_attached"]);

/** Judges agent by agent. */
export function judgeAll(
  views: readonly AgentView[],
  needs: Needs,
  options: FitOptions,
  maxNearest: number,
): JudgedFleet {
  const judged = views.map((view) => {
    const found = fit(view, needs, options);
    return { view, found, rank: rankOf(found) };
  });
  const refused = judged.flatMap(({ view, found }) => (found.kind === "no" ? [{ view, found }] : []));
  const online = refused.filter(({ view }) => view.status === "online").map(({ found }) => found);
  const ofType = views.filter((view) => isOfType(view, options));
  const eligible = judged.filter(({ found }) => found.kind === "fits" || isEligible(found));
  return {
    agentsJudged: views.length,
    ofType: ofType.length,
    ofTypeOnline: ofType.filter(({ status }) => status === "online").length,
    eligible: eligible.length,
    eligibleOnline: eligible.filter(({ view }) => view.status === "online").length,
    lacksOnlyStream: online.some(lacksOnlyStream),
    lacksOnlyLeave: online.some(lacksOnlyLeave),
    nearest: judged
      .sort((a, b) => compareRanks(a.rank, b.rank) || (a.view.agentId < b.view.agentId ? -1 : 1))
      .slice(0, maxNearest)
      .map(({ view }) => view),
  };
}

export function rankOf(found: Fit): Rank {
  if (found.kind === "fits") return FITS_RANK;
  const { misses, never } = found;
  return [
    Number(never),
    Number(!isEligible(found)),
    Number(misses.some(({ code }) => code === "not_online")),
    Number(misses.some(({ dimension }) => dimension === "state")),
    misses.length,
    misses.reduce((sum, one) => sum + weightOf(one), 0),
  ];
}

export function compareRanks(a: Rank, b: Rank): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2] || a[3] - b[3] || a[4] - b[4] || a[5] - b[5];
}

/** Permanent before passing, state before amounts, larger shortages (as a share of the need) before smaller ones. */
export function weightOf(found: Miss): number {
  const shortShare =
    found.shortBy === null || found.needed === null || found.needed === 0 ? 0 : found.shortBy / found.needed;
  return (found.permanent ? 4 : 0) + (found.dimension === "state" ? 2 : 0) + shortShare;
}

/** Asked of an online agent. */
export function lacksOnlyStream(found: FitsNot): boolean {
  return found.misses.every(({ code }) => STREAM.has(code));
}

/** Asked of an online agent. */
export function lacksOnlyLeave(found: FitsNot): boolean {
  return found.misses.every(({ code }) => LEAVE.has(code));
}

/** The task may run on it, by name, type, pool and labels. */
function isEligible({ misses }: FitsNot): boolean {
  return !misses.some(({ code }) => NOT_MEANT.has(code));
}
