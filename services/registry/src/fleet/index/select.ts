/** Finds the agents that a question asks for: sets and columns first, single agents only where these cannot tell. */
import type { AgentView, AvailabilityFilter } from "@headroom/scheduling";
import { addBit, type Bits, dropBit, eachBit, hasBit, keepCommon } from "./bits.ts";
import { type CapacityIndex } from "./capacity-index.ts";
import { RANKED_CARDS } from "./card-sets.ts";
import type { SlotSet } from "./slot-set.ts";

/** So few are asked for one by one, in a fleet of any size. */
const FEW = 8;
/** To ask the rule about one agent costs about as much as to pass over so many words of all the bitmaps of a question. */
const WORDS_PER_VIEW = 40;

export interface Selection {
  readonly poolName: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly bounds: AvailabilityFilter;
  readonly minCards: number;
  readonly perCardMib: number;
  /** Lower case; none: any. */
  readonly models: readonly string[];
  readonly requireAttached: boolean;
  /** The whole rule, for agents that sets and columns cannot tell of. */
  matches(view: AgentView): boolean;
}

/** The slots of the agents that match, in a bitmap that the next selection overwrites. */
export function select(index: CapacityIndex, selection: Selection): Bits {
  index.refresh();
  const found = index.openSlots(selection.requireAttached);
  const sets = index.setsFor(selection.poolName, selection.labels);
  if (sets === null) return found.fill(0);
  const fewest = sets.find(({ few }) => few !== null)?.few;
  if (fewest !== undefined && fewest !== null && fewest.size <= FEW + found.length / WORDS_PER_VIEW) {
    return oneByOne(index, found, fewest, selection);
  }
  keepSets(index, found, sets);
  keepBounds(index, found, selection.bounds);
  keepCards(index, found, selection);
  return found;
}

function oneByOne(index: CapacityIndex, found: Bits, few: ReadonlySet<number>, selection: Selection): Bits {
  const candidates = [...few].filter((slot) => hasBit(found, slot));
  found.fill(0);
  for (const slot of candidates) if (selection.matches(index.viewAt(slot))) addBit(found, slot);
  return found;
}

function keepSets({ scratch }: CapacityIndex, found: Bits, sets: readonly SlotSet[]): void {
  scratch.reset(found.length);
  for (const set of sets) {
    if (set.bits !== null) {
      keepCommon(found, set.bits);
      continue;
    }
    const members = scratch.empty();
    set.addTo(members);
    keepCommon(found, members);
  }
}

function keepBounds({ cpu, memory, vram, rankedCards }: CapacityIndex, found: Bits, bounds: AvailabilityFilter): void {
  if (isAsked(bounds.minCpuMillicores)) cpu.keepAtLeast(found, bounds.minCpuMillicores);
  if (bounds.maxCpuMillicores !== undefined) cpu.keepAtMost(found, bounds.maxCpuMillicores);
  if (isAsked(bounds.minMemoryMib)) memory.keepAtLeast(found, bounds.minMemoryMib);
  if (bounds.maxMemoryMib !== undefined) memory.keepAtMost(found, bounds.maxMemoryMib);
  if (isAsked(bounds.minVramMib)) vram.keepAtLeast(found, bounds.minVramMib);
  if (bounds.maxVramMib !== undefined) vram.keepAtMost(found, bounds.maxVramMib);
  if (isAsked(bounds.minVramPerCardMib)) rankedCards[0]?.keepAtLeast(found, bounds.minVramPerCardMib);
}

/** Nothing is below zero. */
function isAsked(min: number | undefined): min is number {
  return min !== undefined && min > 0;
}

function keepCards(index: CapacityIndex, found: Bits, selection: Selection): void {
  const { minCards, perCardMib, models } = selection;
  if (minCards === 0) return;
  const rank = index.rankedCards[Math.min(minCards, RANKED_CARDS) - 1];
  rank?.keepAtLeast(found, perCardMib);
  if (models.length > 0) {
    const { either, mixed, hasMixed } = index.cards.having(models, found.length);
    keepCommon(found, either);
    if (hasMixed) {
      keepCommon(mixed, found);
      dropMismatches(index, found, mixed, selection);
    }
  }
  if (minCards > RANKED_CARDS) dropMismatches(index, found, found, selection);
}

function dropMismatches(index: CapacityIndex, found: Bits, doubtful: Bits, selection: Selection): void {
  eachBit(doubtful, (slot) => {
    if (!selection.matches(index.viewAt(slot))) dropBit(found, slot);
  });
}
