/**
 * Several bounds at once. Whom bitmaps leave in doubt is looked at one by one, which is nearly all of the cost; taken together, these are the few
 * that no other bound rules out, and each is looked at once.
 */
import { type Bits, dropCommon, keepCommon, type ScratchBits } from "./bits.ts";
import type { RangeColumn } from "./range-column.ts";

export interface Bound {
  readonly column: RangeColumn;
  readonly limit: number;
  /** What is below the limit is kept; else what is at or above it. */
  readonly isBelow: boolean;
}

export function atLeast(column: RangeColumn, min: number): Bound {
  return { column, limit: min, isBelow: false };
}

export function atMost(column: RangeColumn, max: number): Bound {
  return { column, limit: max + 1, isBelow: true };
}

/** Keeps in `found` the slots within all bounds. `found` holds only slots with an agent. Takes one bitmap of `scratch`. */
export function keepWithin(found: Bits, bounds: readonly Bound[], scratch: ScratchBits): void {
  if (bounds.length === 0) return;
  const sure = scratch.copyOf(found);
  for (const bound of bounds) keepByBitmaps(found, sure, bound);
  for (let index = 0; index < found.length; index += 1) {
    let kept = sure[index] ?? 0;
    let doubtful = (found[index] ?? 0) & ~kept;
    while (doubtful !== 0) {
      const lowest = doubtful & -doubtful;
      if (isWithin((index << 5) + 31 - Math.clz32(lowest), bounds)) kept |= lowest;
      doubtful ^= lowest;
    }
    found[index] = kept;
  }
}

function keepByBitmaps(found: Bits, sure: Bits, { column, limit, isBelow }: Bound): void {
  const { surely, perhaps } = column.reaching(limit);
  if (isBelow) {
    if (surely !== null) dropCommon(found, surely);
    if (perhaps === null) sure.fill(0);
    else dropCommon(sure, perhaps);
  } else {
    if (perhaps !== null) keepCommon(found, perhaps);
    if (surely === null) sure.fill(0);
    else keepCommon(sure, surely);
  }
}

function isWithin(slot: number, bounds: readonly Bound[]): boolean {
  for (const { column, limit, isBelow } of bounds) if (column.valueOf(slot) >= limit === isBelow) return false;
  return true;
}
