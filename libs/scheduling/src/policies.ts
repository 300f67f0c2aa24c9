/** The placement policies, by name. */
import type { AgentView } from "./agent-view.ts";
import type { CardRoom } from "./capacity.ts";
import type { Needs } from "./needs.ts";
import type { Candidate, Choice, PlacementPolicy } from "./placement.ts";

/** What the founding documents did by hand (R-CAP-8): the agent, and there the cards, with the most free VRAM. */
export const MOST_FREE_VRAM: PlacementPolicy = {
  name: "most-free-vram",
  roughScore: ({ room }) => -room.vram.free,
  choose: (candidates, needs) => {
    const best = leastBy(candidates, ({ view }) => -view.room.vram.free);
    const roomiestFirst = [...best.fit.eligibleCards].sort((a, b) => b.free - a.free || a.index - b.index);
    return choice(best, roomiestFirst, needs);
  },
};

/**
 * The agent that is left with the least: small tasks fill small gaps, and large gaps stay for large tasks. What is left
 * is the mean, over the dimensions that the agent has, of the share of its ceiling that stays free.
 */
export const BEST_FIT: PlacementPolicy = {
  name: "best-fit",
  roughScore: (view) => shareLeft(view, NOTHING_NEEDED),
  choose: (candidates, needs) => {
    const best = leastBy(candidates, ({ view }) => shareLeft(view, needs));
    return choice(best, best.fit.eligibleCards, needs);
  },
};

type AmountsNeeded = Pick<Needs, "cpuMillicores" | "memoryMib" | "gpuCount" | "gpuVramMib">;

const NOTHING_NEEDED: AmountsNeeded = { cpuMillicores: 0, memoryMib: 0, gpuCount: 0, gpuVramMib: 0 };

const POLICIES: ReadonlyMap<string, PlacementPolicy> = new Map(
  [MOST_FREE_VRAM, BEST_FIT].map((policy) => [policy.name, policy]),
);

export const POLICY_NAMES: readonly string[] = [...POLICIES.keys()];

export const DEFAULT_POLICY_NAME = BEST_FIT.name;

/** The policy of that name, or null. */
export function policyNamed(name: string): PlacementPolicy | null {
  return POLICIES.get(name) ?? null;
}

function shareLeft({ room }: AgentView, needs: AmountsNeeded): number {
  const { cpu, memory, vram } = room;
  // An agent without cards has none to waste: work that needs none goes there first.
  let sum = vram.ceiling > 0 ? (vram.free - needs.gpuCount * needs.gpuVramMib) / vram.ceiling : 0;
  let dimensions = 1;
  if (cpu.ceiling > 0) {
    sum += (cpu.free - needs.cpuMillicores) / cpu.ceiling;
    dimensions += 1;
  }
  if (memory.ceiling > 0) {
    sum += (memory.free - needs.memoryMib) / memory.ceiling;
    dimensions += 1;
  }
  return sum / dimensions;
}

function choice({ view }: Candidate, cards: readonly CardRoom[], needs: Needs): Choice {
  return { agentId: view.agentId, cardIds: cards.slice(0, needs.gpuCount).map((card) => card.cardId) };
}

/** The candidate with the smallest score; among equals the smallest agent id. */
function leastBy(
  candidates: readonly [Candidate, ...Candidate[]],
  scoreOf: (candidate: Candidate) => number,
): Candidate {
  let [best] = candidates;
  let bestScore = scoreOf(best);
  for (const candidate of candidates) {
    const score = scoreOf(candidate);
    if (score < bestScore || (score === bestScore && candidate.view.agentId < best.view.agentId)) {
      best = candidate;
      bestScore = score;
    }
  }
  return best;
}
