/**
 * The agents with the best bounds of their ranks, without looking at each: of the parts of the fleet, the one that may hold the best is
 * always the next to be divided, and the search ends when no part can hold a better one than those that were found.
 */
import { type Bits, countBits, dropCommon, eachBit } from "./bits.ts";
import type { CapacityIndex } from "./capacity-index.ts";
import type { FleetPart, Lack } from "./fleet-part.ts";
import type { FleetParts } from "./fleet-parts.ts";
import type { NearestLimit } from "./nearest-slots.ts";
import type { RankBounds } from "./rank-bounds.ts";

/** What is looked for. */
export interface SearchGoal {
  /** Agents from which the limit can be told. */
  readonly max: number;
  readonly limit: NearestLimit;
  offer(slot: number, key: number, weight: number): void;
}

/** What an agent is short of at the least, in all of a part. */
interface Short extends Lack {
  readonly least: number;
}

interface Waiting {
  readonly part: FleetPart;
  readonly key: number;
  readonly weight: number;
  /** Null: it may be divided further. */
  readonly shorts: readonly Short[] | null;
}

/** Parts of so few agents are not divided: looking at each costs no more than a division of a large fleet. */
const FEW = 256;
/** Amounts are integers, and weights are right to far better than this. */
const MARGIN = 0.01;

export class NearestSearch {
  readonly #index: CapacityIndex;
  readonly #parts: FleetParts;
  readonly #bounds: RankBounds;
  readonly #few: number;

  /** `few`: parts of as many agents are not divided any further. */
  constructor(index: CapacityIndex, parts: FleetParts, bounds: RankBounds, few: number = FEW) {
    this.#index = index;
    this.#parts = parts;
    this.#bounds = bounds;
    this.#few = few;
  }

  /** Offers to the goal every agent of these that its limit does not rule out, and perhaps others. */
  run(slots: Bits, goal: SearchGoal): void {
    const waiting = this.#parts.of(slots).map(undivided);
    for (let next = takeFirst(waiting); next !== undefined; next = takeFirst(waiting)) {
      const { key, weight } = goal.limit;
      if (next.key > key || (next.key === key && next.weight > weight)) return;
      const { part, shorts } = next;
      if (shorts !== null) {
        this.#lookAtNearest(next, shorts, goal);
        continue;
      }
      if (part.facts.isOdd || countBits(part.slots) <= this.#few) {
        this.#lookAtAll(part.slots, goal);
        continue;
      }
      const parts = this.#parts.divide(part);
      waiting.push(...(parts === null ? [divided(part)] : parts.map(undivided)));
    }
  }

  #lookAtAll(slots: Bits, goal: SearchGoal): void {
    const bounds = this.#bounds;
    eachBit(slots, (slot) => {
      bounds.look(slot);
      goal.offer(slot, bounds.key, bounds.weight);
    });
  }

  /** First those that stand out by one amount after the other: after them it is known how near the others must be. */
  #lookAtNearest({ part, key, weight }: Waiting, shorts: readonly Short[], goal: SearchGoal): void {
    const { scratch, fitColumns } = this.#index;
    const { idOrder } = fitColumns;
    const left = scratch.copyOf(part.slots);
    if (goal.limit.key > key) {
      const first = scratch.copyOf(left);
      for (const { column } of shorts) column?.keepAmongHighest(first, goal.max);
      shorts.at(-1)?.column?.keepHighest(first, goal.max);
      idOrder.keepHighest(first, goal.max);
      this.#lookAtAll(first, goal);
      dropCommon(left, first);
    }
    const { limit } = goal;
    if (limit.key === key) {
      for (const short of shorts) keepWithin(left, short, limit.weight - weight);
      // Nobody is nearer than the last that was found: who is as near must come before it.
      if (weight >= limit.weight && Number.isFinite(limit.idOrder)) idOrder.keepAtLeast(left, limit.idOrder);
    }
    this.#lookAtAll(left, goal);
  }
}

/** Of those that are short of this, the ones that are by no more than `spareWeight` farther than the least. */
function keepWithin(slots: Bits, { column, base, needed, least }: Short, spareWeight: number): void {
  const share = least - base + spareWeight;
  if (column !== null && share < 1) column.keepAtLeast(slots, Math.floor(needed * (1 - share) - MARGIN));
}

function undivided(part: FleetPart): Waiting {
  // In the order of the bounds, so that rounding cannot make a part look worse than its members.
  const weight = part.facts.lacks.reduce((sum, { base }) => sum + base, 0);
  return { part, key: part.key, weight, shorts: null };
}

function divided(part: FleetPart): Waiting {
  const shorts = part.facts.lacks.map((lack): Short => {
    const { base, column, needed } = lack;
    const least = column === null ? base : base + (needed - column.highestOf(part.slots)) / needed;
    return { ...lack, least };
  });
  const weight = shorts.reduce((sum, { least }) => sum + least, 0);
  return { part, key: part.key, weight, shorts };
}

/** There are some ten at a time. */
function takeFirst(waiting: Waiting[]): Waiting | undefined {
  let best = 0;
  waiting.forEach((one, index) => {
    const first = waiting[best];
    if (first === undefined || one.key < first.key || (one.key === first.key && one.weight < first.weight))
      best = index;
  });
  return waiting.splice(best, 1)[0];
}
