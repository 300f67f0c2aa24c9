/** The sets of agents that needs and options speak of, and what follows from them without looking at a single agent. */
import type { FitOptions, Needs } from "@headroom/scheduling";
import { addBit, type Bits, dropCommon, keepCommon } from "./bits.ts";
import type { CapacityIndex } from "./capacity-index.ts";

export interface MeantSets {
  /** Null: any. */
  readonly pool: Bits | null;
  readonly labelled: Bits | null;
  /** The agent that is asked for by name. */
  readonly pinned: Bits | null;
  readonly avoided: Bits | null;
  /** Those the task may run on by type, name, pool and labels. */
  readonly eligible: Bits;
  /** Online, and no state keeps them from work. */
  readonly unblocked: Bits;
  /** Online, and only their work stream or the leave of an operator or owner is missing, room aside; the first without the latter. */
  readonly streamless: Bits;
  readonly setAside: Bits;
  /**
   * With a card of a model that is asked for, and those of them that have other cards too. Null: no card is asked for, or any will
   * do.
   */
  readonly models: { readonly either: Bits; readonly mixed: Bits } | null;
}

const NOBODY: ReadonlySet<string> = new Set();

/** Desktops only. The index must be fresh. The sets are scratch bitmaps of the index. */
export function meantSets(index: CapacityIndex, needs: Needs, options: FitOptions): MeantSets {
  const { scratch, fitColumns } = index;
  const { sets } = fitColumns;
  const pool = needs.pool === null ? null : membersOf(index, needs.pool, {});
  const labelled = Object.keys(needs.labels).length === 0 ? null : membersOf(index, null, needs.labels);
  const pinned = needs.agentId === null ? null : onlySlots(index, [needs.agentId]);
  const { avoidAgentIds = NOBODY } = options;
  const avoided = avoidAgentIds.size === 0 ? null : onlySlots(index, avoidAgentIds);
  const eligible = scratch.copyOf(sets.desktop);
  for (const set of [pool, labelled, pinned]) if (set !== null) keepCommon(eligible, set);
  const kept = scratch.copyOf(sets.online);
  for (const set of [sets.onProbation, avoided]) if (set !== null) dropCommon(kept, set);
  const allowed = scratch.copyOf(kept);
  for (const set of [sets.cordoned, sets.draining, sets.ownerHold]) dropCommon(allowed, set);
  const unblocked = scratch.copyOf(allowed);
  if (options.requireAttached !== false) keepCommon(unblocked, sets.attached);
  for (const set of [kept, allowed]) {
    keepCommon(set, eligible);
    dropCommon(set, unblocked);
  }
  const texts = needs.gpuCount <= 0 ? [] : needs.gpuModels.map((model) => model.toLowerCase());
  const models = texts.length === 0 ? null : index.cards.having(texts, scratch);
  return { pool, labelled, pinned, avoided, eligible, unblocked, streamless: allowed, setAside: kept, models };
}

/** Agents of the pool, or with all of the labels. */
function membersOf(index: CapacityIndex, poolName: string | null, labels: Readonly<Record<string, string>>): Bits {
  const { scratch } = index;
  const found = scratch.empty();
  const [first, ...others] = index.setsFor(poolName, labels) ?? [];
  first?.addTo(found);
  for (const set of others) {
    const other = scratch.empty();
    set.addTo(other);
    keepCommon(found, other);
  }
  return found;
}

function onlySlots(index: CapacityIndex, agentIds: Iterable<string>): Bits {
  const found = index.scratch.empty();
  for (const agentId of agentIds) {
    const slot = index.slotOf(agentId);
    if (slot !== undefined) addBit(found, slot);
  }
  return found;
}
