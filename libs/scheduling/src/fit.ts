/**
 * The one predicate that says whether a task fits on an agent, and if not, what is missing. Filters, reservations,
 * placement and explanations all ask here, so that they cannot disagree.
 */
import type { AgentType, AgentView } from "./agent-view.ts";
import { fitCards } from "./fit-cards.ts";
import { fitIdentity, fitState } from "./fit-agent.ts";
import { miss, type Miss } from "./miss.ts";
import type { CardRoom, DimensionRoom } from "./capacity.ts";
import { amountsFor, type Needs } from "./needs.ts";
import type { Amounts } from "./resources.ts";

export interface FitOptions {
  /** Default: desktops only. Null: any type. */
  readonly agentTypes?: readonly AgentType[] | null;
  /** Agents not to use for now, for example because a delivery to them has just failed. */
  readonly avoidAgentIds?: ReadonlySet<string>;
  /** False asks about room alone, for agents whose work stream is down. Default true. */
  readonly requireAttached?: boolean;
}

export interface Fits {
  readonly kind: "fits";
  /** The cards a policy may choose from, tightest first. Empty when no card is needed. */
  readonly eligibleCards: readonly CardRoom[];
  /** The tightest choice: `gpuCount` of the eligible cards. */
  readonly cardIds: readonly string[];
  /** What to reserve for that choice. */
  readonly amounts: Amounts;
}

export interface FitsNot {
  readonly kind: "no";
  /** Never empty. */
  readonly misses: readonly Miss[];
  /** True when waiting cannot help on this agent: what it has, offers or is will not suffice. */
  readonly never: boolean;
}

export type Fit = Fits | FitsNot;

/** Whether a task with these needs could start on this agent at this moment. */
export function fit(view: AgentView, needs: Needs, options: FitOptions = {}): Fit {
  const misses: Miss[] = [...fitIdentity(view, needs, options), ...fitState(view, options)];
  const { room } = view;
  if (!room.sampled) {
    misses.push(notMeasuredYet(needs));
    return { kind: "no", misses, never: misses.some((m) => m.permanent) };
  }
  const cards = fitCards(room, needs);
  const { cpuMillicores, memoryMib } = needs;
  misses.push(...fitAmount("not_enough_cpu", room.cpu, cpuMillicores, cpuMillicores));
  misses.push(
    ...fitAmount(
      "not_enough_memory",
      room.memory,
      memoryMib + cards.sharedVramMib,
      memoryMib + cards.leastSharedVramMib,
    ),
  );
  misses.push(...cards.misses);
  if (misses.length > 0) return { kind: "no", misses, never: misses.some((m) => m.permanent) };
  const { eligibleCards, cardIds } = cards;
  return { kind: "fits", eligibleCards, cardIds, amounts: amountsFor(needs, cardIds) };
}

/** Nothing is known of its totals, so nothing is free, and nothing is ruled out either. */
function notMeasuredYet(needs: Needs): Miss {
  const needed = Math.max(1, needs.cpuMillicores);
  return miss("not_enough_cpu", { needed, free: 0, total: 0, shortBy: needed, detail: "no metrics yet" });
}

/** `leastNeeded` is what would be needed on the same machine were it empty; it differs only for shared memory. */
function fitAmount(
  code: "not_enough_cpu" | "not_enough_memory",
  room: DimensionRoom,
  needed: number,
  leastNeeded: number,
): readonly Miss[] {
  const { free, ceiling: total } = room;
  const permanent = leastNeeded > total;
  // What can never fit is short of what the machine has, however much of it is in use at the moment.
  const asked = permanent ? Math.max(needed, leastNeeded) : needed;
  const shortBy = asked - (permanent ? total : free);
  return shortBy > 0 ? [miss(code, { needed: asked, free, total, shortBy, permanent })] : [];
}
