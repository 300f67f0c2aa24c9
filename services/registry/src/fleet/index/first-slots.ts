/** The first agents of a selection in an order: by walking the order, or by picking from the selection, whichever is shorter. */
import { type Bits, eachBit } from "./bits.ts";
import type { FirstOf, SortedSlots, SortValue } from "./sorted-slots.ts";

export interface FirstSlots {
  readonly slots: readonly number[];
  readonly hasMore: boolean;
}

export type FirstSlotsOptions = Omit<FirstOf, "maxSteps">;

/** So few are picked out at once. */
const FEW = 256;
/** To pick looks at each that was found, and at some more than once: so many steps in the order cost the same. */
const STEPS_PER_PICKED = 4;

/** `count`: how many slots `found` holds. */
export function firstSlots(
  order: SortedSlots,
  found: Bits,
  count: number,
  { descending, after, limit }: FirstSlotsOptions,
): FirstSlots {
  const wanted = Math.min(limit + 1, count);
  const slots =
    (count > FEW
      ? order.firstOf(found, { descending, after, limit: wanted, maxSteps: STEPS_PER_PICKED * count })
      : null) ?? pick(order, found, { descending, after, limit: wanted });
  return { slots: slots.slice(0, limit), hasMore: slots.length > limit };
}

/** Keeps the best so far, sorted. */
function pick(order: SortedSlots, found: Bits, { descending, after, limit }: FirstSlotsOptions): readonly number[] {
  const best: number[] = [];
  let worst: SortValue | null = null;
  eachBit(found, (slot) => {
    // Most fall to this comparison.
    const value = order.valueOf(slot);
    if (worst !== null && (descending ? value < worst : value > worst)) return;
    if (after !== null && order.compareToKey(slot, after, descending) <= 0) return;
    best.splice(placeIn(best, slot, order, descending), 0, slot);
    if (best.length > limit) best.pop();
    const last = best.at(-1);
    if (best.length === limit && last !== undefined) worst = order.valueOf(last);
  });
  return best;
}

function placeIn(best: readonly number[], slot: number, order: SortedSlots, descending: boolean): number {
  let low = 0;
  let high = best.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (order.compare(best[middle] ?? 0, slot, descending) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
