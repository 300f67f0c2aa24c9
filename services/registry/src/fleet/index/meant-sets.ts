/** The sets of agents that needs and options speak of, and what follows from them without looking at a single agent. */
import type { FitOptions, Needs } from "@headroom/scheduling";
import { addBit, type Bits, dropCommon, keepCommon } from "./bits.ts";
import type { CapacityIndex } from "./capacity-index.ts";

export interface MeantSets {
  /** Null: any. */
  readonly pool: Bits | null;
  readonly labelled: Bits | null;
  /** The slot of the agent that is asked for by name; -1: it is not known. */
  readonly pinned: number | null;
  readonly avoided: Bits | null;
  /** Those the task may run on by type, name, pool and labels. */
  readonly eligible: Bits;
  /** Online, and no state keeps them from work. */
  readonly unblocked: Bits;
  /** Online, and only their work stream or an operator's leave is missing, room aside; the first without the latter. */
  readonly streamless: Bits;
  readonly setAside: Bits;
}

/** Desktops only. The index must be fresh. */
export function meantSets(index: CapacityIndex, needs: Needs, options: FitOptions): MeantSets {
  const { sets, words } = index.fitColumns;
  const pool = needs.pool === null ? null : bitsOf(index, words, needs.pool, {});
  const labelled = Object.keys(needs.labels).length === 0 ? null : bitsOf(index, words, null, needs.labels);
  const pinned = needs.agentId === null ? null : (index.slotOf(needs.agentId) ?? -1);
  const avoided = avoidedBits(index, words, options.avoidAgentIds);
  const eligible = sets.desktop.slice();
  for (const set of [pool, labelled]) if (set !== null) keepCommon(eligible, set);
  if (pinned !== null) keepCommon(eligible, onlyBit(words, pinned));
  const kept = sets.online.slice();
  for (const set of [sets.ownerHold, sets.onProbation, avoided]) if (set !== null) dropCommon(kept, set);
  const allowed = kept.slice();
  dropCommon(allowed, sets.cordoned);
  dropCommon(allowed, sets.draining);
  const unblocked = allowed.slice();
  if (options.requireAttached !== false) keepCommon(unblocked, sets.attached);
  for (const set of [kept, allowed]) {
    keepCommon(set, eligible);
    dropCommon(set, unblocked);
  }
  return { pool, labelled, pinned, avoided, eligible, unblocked, streamless: allowed, setAside: kept };
}

/** Agents of the pool, or with all of the labels. */
function bitsOf(
  index: CapacityIndex,
  words: number,
  poolName: string | null,
  labels: Readonly<Record<string, string>>,
): Bits {
  const found: Bits = new Int32Array(words);
  const [first, ...others] = index.setsFor(poolName, labels) ?? [];
  first?.addTo(found);
  for (const set of others) {
    const other: Bits = new Int32Array(words);
    set.addTo(other);
    keepCommon(found, other);
  }
  return found;
}

function avoidedBits(index: CapacityIndex, words: number, agentIds: ReadonlySet<string> | undefined): Bits | null {
  if (agentIds === undefined || agentIds.size === 0) return null;
  const found: Bits = new Int32Array(words);
  for (const agentId of agentIds) {
    const slot = index.slotOf(agentId);
    if (slot !== undefined) addBit(found, slot);
  }
  return found;
}

function onlyBit(words: number, slot: number): Bits {
  const found: Bits = new Int32Array(words);
  if (slot >= 0) addBit(found, slot);
  return found;
}
