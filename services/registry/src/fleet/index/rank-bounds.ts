/**
 * For every agent, a rank at or before the one that the predicate gives it (see scheduling's judge.ts), from columns alone. On
 * ordinary machines it is that very rank; where cards differ within a machine, share its memory or are only partly offered it may
 * be too good, never too bad. So whoever looks at agents in the order of these bounds, and asks the predicate about each, can
 * stop early and has missed none.
 */
import type { FitOptions, Needs, Rank } from "@headroom/scheduling";
import { type Bits, hasBit } from "./bits.ts";
import type { CapacityIndex } from "./capacity-index.ts";
import { HAS_MORE_CARDS, IS_SAMPLED, MAX_CARDS, type RankedFigure } from "./fit-columns.ts";
import type { MeantSets } from "./meant-sets.ts";

/** An agent has fewer misses than this. */
const MISSES = 1_024;
/** The weights of scheduling's judge.ts. */
const PERMANENT = 4;
const STATE = 2;

/** The first five figures of a rank as one. */
export function rankKey([never, notMeant, unreachable, blocked, misses]: Rank): number {
  return never < 0 ? -1 : (((never * 2 + notMeant) * 2 + unreachable) * 2 + blocked) * MISSES + misses;
}

/** No agent that is blocked, or that is not meant, has a smaller one. */
export const BLOCKED_KEY = rankKey([0, 0, 0, 1, 0, 0]);
export const NOT_MEANT_KEY = rankKey([1, 1, 0, 0, 0, 0]);

export class RankBounds {
  /** Of the slot last looked at: the bound of its rank. -1: nothing is missing. */
  key = 0;
  weight = 0;

  readonly #needs: Needs;
  readonly #sets: MeantSets;
  readonly #cpuFree: Float64Array;
  readonly #memoryFree: Float64Array;
  readonly #columns: CapacityIndex["fitColumns"];
  readonly #cardFree: RankedFigure;
  readonly #cardCeilings: RankedFigure;
  readonly #roomiestFree: Float64Array;
  readonly #largestCeiling: Float64Array;
  readonly #models: { readonly either: Bits; readonly mixed: Bits } | null;
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
    this.#memoryFree = index.memory.values;
    this.#cardFree = needs.gpuExclusive ? fitColumns.wholeFree : index.rankedCards.map(({ values }) => values);
    this.#cardCeilings = needs.gpuExclusive ? fitColumns.wholeCeilings : fitColumns.cardCeilings;
    this.#roomiestFree = this.#cardFree[0] ?? new Float64Array(0);
    this.#largestCeiling = this.#cardCeilings[0] ?? new Float64Array(0);
    const models = needs.gpuModels.map((model) => model.toLowerCase());
    this.#models = needs.gpuCount <= 0 || models.length === 0 ? null : index.cards.having(models, fitColumns.words);
    this.#requireAttached = options.requireAttached !== false;
    this.#neededMib = Math.max(1, needs.gpuVramMib);
  }

  /** Of an agent that is meant, and that no state keeps from work: only room can be missing. */
  lookAtRoom(slot: number): void {
    this.#misses = 0;
    this.#isNever = false;
    this.weight = 0;
    this.#room(slot);
    this.key = this.#misses === 0 ? -1 : (this.#isNever ? 8 * MISSES : 0) + this.#misses;
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
    this.key = this.#misses === 0 ? -1 : rankKey([never, notMeant, unreachable, blocked, this.#misses, 0]);
  }

  #miss(weight: number): void {
    this.#misses += 1;
    this.weight += weight;
  }

  #identity(slot: number): 0 | 1 {
    const { pool, labelled, pinned } = this.#sets;
    let misses = 0;
    if (!hasBit(this.#columns.sets.desktop, slot)) misses += 1;
    if (pinned !== null && pinned !== slot) misses += 1;
    if (pool !== null && !hasBit(pool, slot)) misses += 1;
    if (labelled !== null && !hasBit(labelled, slot)) misses += 1;
    if (misses === 0) return 0;
    this.#misses += misses;
    this.weight += misses * PERMANENT;
    this.#isNever = true;
    return 1;
  }

  #states(slot: number): 0 | 1 {
    const { online, attached, cordoned, draining, ownerHold, onProbation } = this.#columns.sets;
    const isOnline = hasBit(online, slot);
    let misses = isOnline ? 0 : 1;
    for (const state of [cordoned, draining, ownerHold, onProbation]) if (hasBit(state, slot)) misses += 1;
    if (this.#sets.avoided !== null && hasBit(this.#sets.avoided, slot)) misses += 1;
    if (isOnline && this.#requireAttached && !hasBit(attached, slot)) misses += 1;
    this.#misses += misses;
    this.weight += misses * STATE;
    return misses === 0 ? 0 : 1;
  }

  #room(slot: number): void {
    const flags = this.#columns.flags[slot] ?? 0;
    if ((flags & IS_SAMPLED) === 0) return this.#miss(1);
    const { cpuMillicores, memoryMib, gpuCount } = this.#needs;
    const cpuFree = this.#cpuFree[slot] ?? 0;
    if (cpuMillicores > cpuFree) this.#short(cpuMillicores, cpuFree, this.#columns.cpuCeiling[slot] ?? 0);
    const memoryFree = this.#memoryFree[slot] ?? 0;
    if (memoryMib > memoryFree) this.#short(memoryMib, memoryFree, this.#columns.memoryCeiling[slot] ?? 0);
    if (gpuCount <= 0 || (flags & HAS_MORE_CARDS) !== 0) return;
    if (gpuCount === 1 && this.#models === null) this.#oneCard(slot);
    else this.#cards(slot);
  }

  #short(needed: number, free: number, ceiling: number): void {
    const isNever = needed > ceiling;
    this.#isNever ||= isNever;
    this.#miss(isNever ? PERMANENT + (needed - ceiling) / needed : (needed - free) / needed);
  }

  /** What #cards comes to when one card of any model is asked for, as mostly. */
  #oneCard(slot: number): void {
    const neededMib = this.#neededMib;
    const freeMib = this.#roomiestFree[slot] ?? -1;
    if (freeMib >= neededMib) return;
    const ceilingMib = this.#largestCeiling[slot] ?? -1;
    if (ceilingMib >= neededMib) return this.#miss(this.#needs.gpuExclusive ? 0 : (neededMib - freeMib) / neededMib);
    this.#isNever = true;
    if ((this.#columns.cardCount[slot] ?? 0) === 0) this.#miss(PERMANENT + 1);
    else this.#miss(PERMANENT + (this.#needs.gpuExclusive ? 0 : (neededMib - ceilingMib) / neededMib));
  }

  #cards(slot: number): void {
    const { gpuCount } = this.#needs;
    const fitting = this.#countReaching(this.#cardFree, slot);
    if (this.#models !== null) {
      if (!hasBit(this.#models.either, slot)) return this.#lacksModel(slot);
      if (hasBit(this.#models.mixed, slot)) return fitting < gpuCount ? this.#miss(0) : undefined;
    }
    if (fitting >= gpuCount) return;
    const count = this.#columns.cardCount[slot] ?? 0;
    if (count < gpuCount) {
      this.#isNever = true;
      this.#miss(PERMANENT + (gpuCount - fitting) / gpuCount);
    }
    const large = this.#countReaching(this.#cardCeilings, slot);
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
    const hasEnough = (this.#columns.cardCount[slot] ?? 0) >= this.#needs.gpuCount;
    this.#miss(hasEnough ? PERMANENT : PERMANENT + 1);
  }

  /** Of a card that is asked for whole no amount is missing. */
  #cardShort(figures: RankedFigure, rank: number, slot: number): number {
    return this.#needs.gpuExclusive ? 0 : (this.#neededMib - (figures[rank]?.[slot] ?? 0)) / this.#neededMib;
  }

  #countReaching(figures: RankedFigure, slot: number): number {
    let count = 0;
    while (count < MAX_CARDS && (figures[count]?.[slot] ?? -1) >= this.#neededMib) count += 1;
    return count;
  }
}
