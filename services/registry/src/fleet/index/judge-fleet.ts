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
import { addBit, type Bits, countBits, dropCommon, eachBit, keepCommon } from "./bits.ts";
import type { CapacityIndex } from "./capacity-index.ts";
import { type MeantSets, meantSets } from "./meant-sets.ts";
import { NearestSlots } from "./nearest-slots.ts";
import { BLOCKED_KEY, NOT_MEANT_KEY, RankBounds, rankKey } from "./rank-bounds.ts";

/** Looked at beyond those asked for, in case some of them are worse than their bounds. */
const SPARE = 8;

interface Ranked {
  readonly view: AgentView;
  readonly rank: Rank;
}

/** `changed`: agents as a draft has them; only their reservations differ. */
export function judgeFleet(
  index: CapacityIndex,
  needs: Needs,
  options: FitOptions,
  maxNearest: number,
  changed: ReadonlyMap<string, AgentView>,
): JudgedFleet {
  index.refresh();
  if (options.agentTypes !== undefined) {
    // The columns know desktops from others, no more.
    const views = [...index.views()].map((view) => changed.get(view.agentId) ?? view);
    return judgeAll(views, needs, options, maxNearest);
  }
  return new FleetJudge(index, needs, options, changed).judge(maxNearest);
}

class FleetJudge {
  readonly #index: CapacityIndex;
  readonly #needs: Needs;
  readonly #options: FitOptions;
  readonly #changed: ReadonlyMap<string, AgentView>;
  readonly #changedSlots: Bits;
  readonly #sets: MeantSets;
  readonly #bounds: RankBounds;

  constructor(index: CapacityIndex, needs: Needs, options: FitOptions, changed: ReadonlyMap<string, AgentView>) {
    this.#index = index;
    this.#needs = needs;
    this.#options = options;
    this.#changed = changed;
    this.#sets = meantSets(index, needs, options);
    this.#bounds = new RankBounds(index, needs, options, this.#sets);
    this.#changedSlots = new Int32Array(index.fitColumns.words);
    for (const agentId of changed.keys()) {
      const slot = index.slotOf(agentId);
      if (slot !== undefined) addBit(this.#changedSlots, slot);
    }
  }

  judge(maxNearest: number): JudgedFleet {
    const { online, known } = this.#index.fitColumns.sets;
    const { eligible } = this.#sets;
    return {
      agentsJudged: countBits(known),
      agentsOnline: countBits(online),
      eligible: countBits(eligible),
      eligibleOnline: countBits(both(eligible, online)),
      ...this.#whatIsLacked(),
      nearest: this.#nearest(maxNearest),
    };
  }

  #nearest(max: number): readonly AgentView[] {
    const first = new NearestSlots(this.#index, max + SPARE);
    this.#offer(first);
    const ranked = [...this.#changed.values(), ...first.slots.map((slot) => this.#index.viewAt(slot))].map((view) =>
      this.#rank(view),
    );
    ranked.sort(compareRanked);
    const last = ranked[max - 1];
    if (last !== undefined && first.mayHaveMissed(rankKey(last.rank), last.rank[5], last.view.agentId)) {
      ranked.push(...this.#allUpTo(last.rank, new Set(first.slots)));
      ranked.sort(compareRanked);
    }
    return ranked.slice(0, max).map(({ view }) => view);
  }

  /** Those on which only room is missing come first; others are looked at only where there are too few of these. */
  #offer(nearest: NearestSlots): void {
    const bounds = this.#bounds;
    const { eligible, unblocked } = this.#sets;
    const { known } = this.#index.fitColumns.sets;
    const look = (slot: number): void => {
      bounds.look(slot);
      nearest.offer(slot, bounds.key, bounds.weight);
    };
    this.#offerRoom(nearest, without(both(eligible, unblocked), this.#changedSlots));
    if (nearest.isFullBelow(BLOCKED_KEY)) return;
    eachBit(without(eligible, unblocked, this.#changedSlots), look);
    if (nearest.isFullBelow(NOT_MEANT_KEY)) return;
    eachBit(without(known, eligible, this.#changedSlots), look);
  }

  /** A loop of its own: nearly the whole fleet may go through it, and a call for each slot would double what it costs. */
  #offerRoom(nearest: NearestSlots, bits: Bits): void {
    const bounds = this.#bounds;
    for (let index = 0; index < bits.length; index += 1) {
      let word = bits[index] ?? 0;
      while (word !== 0) {
        const lowest = word & -word;
        word ^= lowest;
        const slot = (index << 5) + 31 - Math.clz32(lowest);
        bounds.lookAtRoom(slot);
        nearest.offer(slot, bounds.key, bounds.weight);
      }
    }
  }

  /** All others whose bounds are as good as this rank: their cards are of a kind that columns cannot tell. */
  #allUpTo(rank: Rank, seen: ReadonlySet<number>): readonly Ranked[] {
    const bounds = this.#bounds;
    const key = rankKey(rank);
    const found: Ranked[] = [];
    eachBit(without(this.#index.fitColumns.sets.known, this.#changedSlots), (slot) => {
      bounds.look(slot);
      const isAsGood = bounds.key < key || (bounds.key === key && bounds.weight <= rank[5]);
      if (isAsGood && !seen.has(slot)) found.push(this.#rank(this.#index.viewAt(slot)));
    });
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
    const roomy = without(candidates, this.#changedSlots);
    const { cpu, memory, rankedCards } = this.#index;
    cpu.keepAtLeast(roomy, this.#needs.cpuMillicores);
    memory.keepAtLeast(roomy, this.#needs.memoryMib);
    if (this.#needs.gpuCount > 0) rankedCards[0]?.keepAtLeast(roomy, Math.max(1, this.#needs.gpuVramMib));
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

function both(a: Bits, b: Bits): Bits {
  const found = a.slice();
  keepCommon(found, b);
  return found;
}

function without(bits: Bits, ...others: readonly Bits[]): Bits {
  const found = bits.slice();
  for (const other of others) dropCommon(found, other);
  return found;
}

function compareRanked(a: Ranked, b: Ranked): number {
  return compareRanks(a.rank, b.rank) || (a.view.agentId < b.view.agentId ? -1 : 1);
}
