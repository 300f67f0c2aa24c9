/** Finds the agents that a question asks for: sets and columns first, single agents only where these cannot tell. */
import type { AgentView, AvailabilityFilter } from "@headroom/scheduling";
import { addBit, type Bits, both, dropBit, eachBit, hasBit, keepCommon } from "./bits.ts";
import type { CapacityIndex } from "./capacity-index.ts";
import { RANKED_CARDS } from "./card-sets.ts";
import { atLeast, atMost, type Bound, keepWithin } from "./keep-within.ts";
import type { RangeColumn } from "./range-column.ts";
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
  index.scratch.reset(found.length);
  keepSets(index, found, sets);
  const mixed = keepModels(index, found, selection);
  keepWithin(found, boundsOf(index, selection), index.scratch);
  if (selection.minCards > RANKED_CARDS) dropMismatches(index, found, found, selection);
  else if (mixed !== null) dropMismatches(index, found, both(mixed, found, mixed), selection);
  return found;
}

function oneByOne(index: CapacityIndex, found: Bits, few: ReadonlySet<number>, selection: Selection): Bits {
  const candidates = [...few].filter((slot) => hasBit(found, slot));
  found.fill(0);
  for (const slot of candidates) if (selection.matches(index.viewAt(slot))) addBit(found, slot);
  return found;
}

function keepSets({ scratch }: CapacityIndex, found: Bits, sets: readonly SlotSet[]): void {
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

function boundsOf(index: CapacityIndex, { bounds, minCards, perCardMib }: Selection): readonly Bound[] {
  const { cpu, memory, vram, rankedCards } = index;
  const asked: Bound[] = [];
  const add = (column: RangeColumn | undefined, min: number | undefined, max?: number): void => {
    if (column === undefined) return;
    if (isAsked(min)) asked.push(atLeast(column, min));
    if (max !== undefined) asked.push(atMost(column, max));
  };
  add(cpu, bounds.minCpuMillicores, bounds.maxCpuMillicores);
  add(memory, bounds.minMemoryMib, bounds.maxMemoryMib);
  add(vram, bounds.minVramMib, bounds.maxVramMib);
  add(rankedCards[0], bounds.minVramPerCardMib);
  const rank = rankedCards[Math.min(minCards, RANKED_CARDS) - 1];
  if (rank !== undefined) asked.push(atLeast(rank, perCardMib));
  return asked;
}

/** Nothing is below zero. */
function isAsked(min: number | undefined): min is number {
  return min !== undefined && min > 0;
}

/** Keeps agents with a card of a model that is asked for; answers those of them that have other cards too, or null. */
function keepModels({ cards, scratch }: CapacityIndex, found: Bits, { minCards, models }: Selection): Bits | null {
  if (minCards === 0 || models.length === 0) return null;
  const { either, mixed, hasMixed } = cards.having(models, scratch);
  keepCommon(found, either);
  return hasMixed ? mixed : null;
}

function dropMismatches(index: CapacityIndex, found: Bits, doubtful: Bits, selection: Selection): void {
  eachBit(doubtful, (slot) => {
    if (!selection.matches(index.viewAt(slot))) dropBit(found, slot);
  });
}
