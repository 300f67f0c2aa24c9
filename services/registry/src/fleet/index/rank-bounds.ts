/**
 * For every agent, a rank at or before the one that the predicate gives it (see scheduling's judge.ts), from columns alone. On
 * ordinary machines it is that very rank; where cards differ within a machine, share its memory or are only partly offered it may
 * be too good, never too bad. So whoever looks at agents in the order of these bounds, and asks the predicate about each, can
 * stop early and has missed none.
 */
import type { FitOptions, Needs, Rank } from "@headroom/scheduling";
import { type Bits, hasBit } from "./bits.ts";
import type { CapacityIndex } from "./capacity-index.ts";
import { MAX_CARDS } from "./fit-columns.ts";
import type { MeantSets } from "./meant-sets.ts";

/** An agent has fewer misses than this. */
const MISSES = 1_024;
/** The weights of scheduling's judge.ts. */
export const PERMANENT = 4;
export const STATE = 2;
export const NOT_MEASURED = 1;

/** One figure of the cards by slot: of the largest, of the second, and so on; below 0 where there is none. */
type Figures = readonly Float64Array[];

/** The key of an agent on which nothing is missing. */
export const NO_MISS_KEY = -1;

/** The first five figures of a rank as one. */
export function rankKey([never, notMeant, unreachable, blocked, misses]: Rank): number {
  return never < 0 ? NO_MISS_KEY : keyOf(never, notMeant, unreachable, blocked, misses);
}

/** Of an agent on which something is missing. */
export function keyOf(never: number, notMeant: number, unreachable: number, blocked: number, misses: number): number {
  return (((never * 2 + notMeant) * 2 + unreachable) * 2 + blocked) * MISSES + misses;
}

export class RankBounds {
  /** Of the slot last looked at: the bound of its rank. */
  key = 0;
  weight = 0;

  readonly #needs: Needs;
  readonly #sets: MeantSets;
  readonly #columns: CapacityIndex["fitColumns"];
  readonly #cpuFree: Float64Array;
  readonly #cpuCeiling: Float64Array;
  readonly #memoryFree: Float64Array;
  readonly #memoryCeiling: Float64Array;
  readonly #cards: Figures;
  readonly #cardFree: Figures;
  readonly #cardCeilings: Figures;
  /** States that keep an agent from work. */
  readonly #unwanted: readonly Bits[];
  readonly #models: MeantSets["models"];
  readonly #requireAttached: boolean;
  readonly #neededMib: number;
  #misses = 0;
  #isNever = false;

  constructor(index: CapacityIndex, needs: Needs, options: FitOptions, sets: MeantSets) {
    const { fitColumns } = index;
    this.#needs = needs;
    this.#sets = sets;
    this.#columns = fitColumns;
    this.#cpuFree = index.cpu.values;
    this.#cpuCeiling = fitColumns.cpuCeiling.values;
    this.#memoryFree = index.memory.values;
    this.#memoryCeiling = fitColumns.memoryCeiling.values;
    const valuesOf = ({ values }: { readonly values: Float64Array }): Float64Array => values;
    this.#cards = fitColumns.cardCeilings.map(valuesOf);
    this.#cardFree = (needs.gpuExclusive ? fitColumns.wholeFree : index.rankedCards).map(valuesOf);
    this.#cardCeilings = needs.gpuExclusive ? fitColumns.wholeCeilings.map(valuesOf) : this.#cards;
    this.#models = sets.models;
    const { cordoned, draining, ownerHold, onProbation } = fitColumns.sets;
    this.#unwanted = [cordoned, draining, ownerHold, onProbation, ...(sets.avoided === null ? [] : [sets.avoided])];
    this.#requireAttached = options.requireAttached !== false;
    this.#neededMib = Math.max(1, needs.gpuVramMib);
  }

  look(slot: number): void {
    this.#misses = 0;
    this.#isNever = false;
    this.weight = 0;
    const notMeant = this.#identity(slot);
    const blocked = this.#states(slot);
    this.#room(slot);
    const unreachable = Number(!hasBit(this.#columns.sets.online, slot));
    const never = Number(this.#isNever);
    this.key = this.#misses === 0 ? NO_MISS_KEY : keyOf(never, notMeant, unreachable, blocked, this.#misses);
  }

  #miss(weight: number): void {
    this.#misses += 1;
    this.weight += weight;
  }

  #identity(slot: number): 0 | 1 {
    const { pool, labelled, pinned } = this.#sets;
    let misses = 0;
    if (!hasBit(this.#columns.sets.desktop, slot)) misses += 1;
    if (pinned !== null && !hasBit(pinned, slot)) misses += 1;
    if (pool !== null && !hasBit(pool, slot)) misses += 1;
    if (labelled !== null && !hasBit(labelled, slot)) misses += 1;
    if (misses === 0) return 0;
    this.#misses += misses;
    this.weight += misses * PERMANENT;
    this.#isNever = true;
    return 1;
  }

  #states(slot: number): 0 | 1 {
    const { online, attached } = this.#columns.sets;
    const isOnline = hasBit(online, slot);
    let misses = isOnline ? 0 : 1;
    for (const state of this.#unwanted) if (hasBit(state, slot)) misses += 1;
    if (isOnline && this.#requireAttached && !hasBit(attached, slot)) misses += 1;
    this.#misses += misses;
    this.weight += misses * STATE;
    return misses === 0 ? 0 : 1;
  }

  #room(slot: number): void {
    if (!hasBit(this.#columns.sets.sampled, slot)) return this.#miss(NOT_MEASURED);
    const { cpuMillicores, memoryMib, gpuCount } = this.#needs;
    const cpuFree = this.#cpuFree[slot] ?? 0;
    if (cpuMillicores > cpuFree) this.#short(cpuMillicores, cpuFree, this.#cpuCeiling[slot] ?? 0);
    const memoryFree = this.#memoryFree[slot] ?? 0;
    if (memoryMib > memoryFree) this.#short(memoryMib, memoryFree, this.#memoryCeiling[slot] ?? 0);
    if (gpuCount > 0 && !hasBit(this.#columns.sets.manyCards, slot)) this.#lookAtCards(slot);
  }

  #short(needed: number, free: number, ceiling: number): void {
    const isNever = needed > ceiling;
    this.#isNever ||= isNever;
    this.#miss(isNever ? PERMANENT + (needed - ceiling) / needed : (needed - free) / needed);
  }

  #lookAtCards(slot: number): void {
    const { gpuCount } = this.#needs;
    const fitting = countReaching(this.#cardFree, slot, this.#neededMib);
    if (this.#models !== null) {
      if (!hasBit(this.#models.either, slot)) return this.#lacksModel(slot);
      if (hasBit(this.#models.mixed, slot)) return fitting < gpuCount ? this.#miss(0) : undefined;
    }
    if (fitting >= gpuCount) return;
    const count = countReaching(this.#cards, slot, 0);
    if (count < gpuCount) {
      this.#isNever = true;
      this.#miss(PERMANENT + (gpuCount - fitting) / gpuCount);
    }
    const large = countReaching(this.#cardCeilings, slot, this.#neededMib);
    const busy = Math.min(gpuCount - fitting, large - fitting);
    for (let rank = fitting; rank < fitting + busy; rank += 1) this.#miss(this.#cardShort(this.#cardFree, rank, slot));
    const small = Math.min(gpuCount - fitting - busy, count - large);
    for (let rank = large; rank < large + small; rank += 1) {
      this.#isNever = true;
      this.#miss(PERMANENT + this.#cardShort(this.#cardCeilings, rank, slot));
    }
  }

  #lacksModel(slot: number): void {
    this.#isNever = true;
    const hasEnough = countReaching(this.#cards, slot, 0) >= this.#needs.gpuCount;
    this.#miss(hasEnough ? PERMANENT : PERMANENT + 1);
  }

  /** Of a card that is asked for whole no amount is missing. */
  #cardShort(figures: Figures, rank: number, slot: number): number {
    return this.#needs.gpuExclusive ? 0 : (this.#neededMib - (figures[rank]?.[slot] ?? 0)) / this.#neededMib;
  }
}

function countReaching(figures: Figures, slot: number, atLeast: number): number {
  let count = 0;
  while (count < MAX_CARDS && (figures[count]?.[slot] ?? -1) >= atLeast) count += 1;
  return count;
}
