/** One page of the agents by host name and id, whatever their status, and how many there are on all pages: without walking the fleet. */
import type { AgentStatus } from "@headroom/scheduling";
import { addBit, type Bits, countBits, keepCommon } from "../fleet/index/bits.ts";
import type { CapacityIndex, OrderFigure } from "../fleet/index/capacity-index.ts";
import { firstSlots } from "../fleet/index/first-slots.ts";
import type { SortedSlots } from "../fleet/index/sorted-slots.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import { type Page, readPosition } from "./paging.ts";

export interface AgentsQuestion {
  /** None: any. */
  readonly statuses: ReadonlySet<AgentStatus>;
  /** Empty: any; so too below. */
  readonly poolName: string;
  /** The whole name. */
  readonly hostname: string;
  readonly agentIdPrefix: string;
}

const BY_HOSTNAME: OrderFigure = { name: "hostname", valueOf: ({ hostname }) => hostname };
const BY_ID: OrderFigure = { name: "agent_id", valueOf: ({ agentId }) => agentId };

/** Throws INVALID_ARGUMENT for a token that is none. */
export function findAgents(
  index: CapacityIndex,
  { statuses, poolName, hostname, agentIdPrefix }: AgentsQuestion,
  { pageSize, pageToken }: { readonly pageSize: number; readonly pageToken: string },
): Page<StoredAgent> {
  const prefix = agentIdPrefix.toLowerCase();
  const question = ["agents", [...statuses].sort(), poolName, hostname, prefix];
  const { after, tokenAfter } = readPosition({ pageToken, question });
  index.refresh();
  const found = index.withStatus(statuses);
  const order = index.orderBy(BY_HOSTNAME);
  if (poolName !== "") keepCommon(found, membersOf(index, poolName));
  if (hostname !== "")
    keepCommon(
      found,
      beginningWith(index, order, hostname, (name) => name === hostname),
    );
  if (prefix !== "")
    keepCommon(
      found,
      beginningWith(index, index.orderBy(BY_ID), prefix, (id) => id.startsWith(prefix)),
    );
  const totalSize = countBits(found);
  const { slots, hasMore } = firstSlots(order, found, totalSize, { descending: false, after, limit: pageSize });
  const last = slots.at(-1);
  return {
    rows: slots.map((slot) => index.agentAt(slot)),
    nextPageToken: hasMore && last !== undefined ? tokenAfter(order.keyOf(last)) : "",
    totalSize,
  };
}

function membersOf(index: CapacityIndex, poolName: string): Bits {
  const found: Bits = new Int32Array(index.fitColumns.words);
  for (const set of index.setsFor(poolName, {}) ?? []) set.addTo(found);
  return found;
}

/** Those that stand from `first` on in the order and of which it holds; behind the first of which it does not hold nobody is. */
function beginningWith(
  index: CapacityIndex,
  order: SortedSlots,
  first: string,
  holds: (value: string) => boolean,
): Bits {
  const found: Bits = new Int32Array(index.fitColumns.words);
  order.walk({ value: first, agentId: "" }, (slot) => {
    const isOne = holds(String(order.keyOf(slot).value));
    if (isOne) addBit(found, slot);
    return isOne;
  });
  return found;
}
