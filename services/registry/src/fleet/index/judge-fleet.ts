/** What an explanation has to know of the fleet, by the index: the same as scheduling's `judgeAll`, without judging every agent. */
import {
  type AgentView,
  compareRanks,
  fit,
  type FitOptions,
  judgeAll,
  type JudgedFleet,
  lacksOnlyLeave,
  lacksOnlyStream,
  type Needs,
  type Rank,
  rankOf,
} from "@headroom/scheduling";
import { addBit, type Bits, both, countBits, dropCommon, eachBit, without } from "./bits.ts";
import type { CapacityIndex } from "./capacity-index.ts";
import { RANKED_CARDS } from "./card-sets.ts";
import { FleetParts } from "./fleet-parts.ts";
import { type MeantSets, meantSets } from "./meant-sets.ts";
import { NearestSearch } from "./nearest-search.ts";
import { NearestSlots } from "./nearest-slots.ts";
import { RankBounds, rankKey } from "./rank-bounds.ts";

/** Looked at beyond those asked for, in case some of them are worse than their bounds. */
const SPARE = 8;

interface Ranked {
  readonly view: AgentView;
  readonly rank: Rank;
}

/** `changed`: agents as a draft has them; only their reservations differ. `few`: see NearestSearch. */
export function judgeFleet(
  index: CapacityIndex,
  needs: Needs,
  options: FitOptions,
  maxNearest: number,
  changed: ReadonlyMap<string, AgentView>,
  few?: number,
): JudgedFleet {
  index.refresh();
  if (options.agentTypes !== undefined) {
    // The columns know desktops from others, no more.
    const views = [...index.views()].map((view) => changed.get(view.agentId) ?? view);
    return judgeAll(views, needs, options, maxNearest);
  }
  return new FleetJudge(index, needs, options, changed, few).judge(maxNearest);
}

class FleetJudge {
  readonly #index: CapacityIndex;
  readonly #needs: Needs;
  readonly #options: FitOptions;
  readonly #changed: ReadonlyMap<string, AgentView>;
  readonly #changedSlots: Bits;
  readonly #sets: MeantSets;
  readonly #search: NearestSearch;

  constructor(
    index: CapacityIndex,
    needs: Needs,
    options: FitOptions,
    changed: ReadonlyMap<string, AgentView>,
    few: number | undefined,
  ) {
    this.#index = index;
    this.#needs = needs;
    this.#options = options;
    this.#changed = changed;
    index.scratch.reset(index.fitColumns.words);
    this.#sets = meantSets(index, needs, options);
    const bounds = new RankBounds(index, needs, options, this.#sets);
    this.#search = new NearestSearch(index, new FleetParts(index, needs, options, this.#sets), bounds, few);
    const slots = [...changed.keys()].flatMap((agentId) => index.slotOf(agentId) ?? []);
    this.#changedSlots = slotsOf(index, slots);
  }

  judge(maxNearest: number): JudgedFleet {
    const { online, known, desktop } = this.#index.fitColumns.sets;
    const { eligible } = this.#sets;
    return {
      agentsJudged: countBits(known),
      ofType: countBits(desktop),
      ofTypeOnline: countBits(both(desktop, online, this.#index.scratch.take())),
      eligible: countBits(eligible),
      eligibleOnline: countBits(both(eligible, online, this.#index.scratch.take())),
      ...this.#whatIsLacked(),
      nearest: this.#nearest(maxNearest),
    };
  }

  #nearest(max: number): readonly AgentView[] {
    const { scratch, fitColumns } = this.#index;
    const others = scratch.copyOf(fitColumns.sets.known);
    dropCommon(others, this.#changedSlots);
    const first = new NearestSlots(this.#index, max + SPARE);
    this.#search.run(others, first);
    const ranked = [...this.#changed.values(), ...first.slots.map((slot) => this.#index.viewAt(slot))].map((view) =>
      this.#rank(view),
    );
    ranked.sort(compareRanked);
    const last = ranked[max - 1];
    if (last !== undefined && first.mayHaveMissed(rankKey(last.rank), last.rank[5], last.view.agentId)) {
      ranked.push(...this.#allUpTo(last.rank, without(others, slotsOf(this.#index, first.slots), scratch.take())));
      ranked.sort(compareRanked);
    }
    return ranked.slice(0, max).map(({ view }) => view);
  }

  /** All of these whose bounds are as good as this rank: their cards are of a kind that columns cannot tell. */
  #allUpTo(rank: Rank, slots: Bits): readonly Ranked[] {
    const limit = { key: rankKey(rank), weight: rank[5], idOrder: Number.NEGATIVE_INFINITY };
    const found: Ranked[] = [];
    const offer = (slot: number, key: number, weight: number): void => {
      const isAsGood = key < limit.key || (key === limit.key && weight <= limit.weight);
      if (isAsGood) found.push(this.#rank(this.#index.viewAt(slot)));
    };
    this.#search.run(slots, { max: 1, limit, offer });
    return found;
  }

  #whatIsLacked(): Pick<JudgedFleet, "lacksOnlyStream" | "lacksOnlyLeave"> {
    const { streamless, setAside } = this.#sets;
    // Who lacks only the stream lacks no more than an operator's leave, too.
    if (this.#isSome(streamless, lacksOnlyStream)) return { lacksOnlyStream: true, lacksOnlyLeave: true };
    return { lacksOnlyStream: false, lacksOnlyLeave: this.#isSome(setAside, lacksOnlyLeave) };
  }

  #isSome(candidates: Bits, lacks: typeof lacksOnlyLeave): boolean {
    const isLacking = (view: AgentView): boolean => {
      if (view.status !== "online") return false;
      const found = fit(view, this.#needs, this.#options);
      return found.kind === "no" && lacks(found);
    };
    for (const view of this.#changed.values()) if (isLacking(view)) return true;
    const roomy = without(candidates, this.#changedSlots, this.#index.scratch.take());
    const { cpu, memory, rankedCards } = this.#index;
    cpu.keepAtLeast(roomy, this.#needs.cpuMillicores);
    memory.keepAtLeast(roomy, this.#needs.memoryMib);
    const { gpuCount, gpuVramMib } = this.#needs;
    if (gpuCount > 0) rankedCards[Math.min(gpuCount, RANKED_CARDS) - 1]?.keepAtLeast(roomy, Math.max(1, gpuVramMib));
    let isFound = false;
    eachBit(roomy, (slot) => {
      isFound = isLacking(this.#index.viewAt(slot));
      return !isFound;
    });
    return isFound;
  }

  #rank(view: AgentView): Ranked {
    return { view, rank: rankOf(fit(view, this.#needs, this.#options)) };
  }
}

function slotsOf({ scratch }: CapacityIndex, slots: readonly number[]): Bits {
  const found = scratch.empty();
  for (const slot of slots) addBit(found, slot);
  return found;
}

function compareRanked(a: Ranked, b: Ranked): number {
  return compareRanks(a.rank, b.rank) || (a.view.agentId < b.view.agentId ? -1 : 1);
}
