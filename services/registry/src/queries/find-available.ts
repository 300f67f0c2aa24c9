/** One page of the agents that a request asks for, and how many there are on all pages: exact, without touching the fleet. */
import type { wire } from "@headroom/contracts";
import type { AvailabilityFilter } from "@headroom/scheduling";
import { countBits } from "../fleet/index/bits.ts";
import type { CapacityIndex } from "../fleet/index/capacity-index.ts";
import { firstSlots } from "../fleet/index/first-slots.ts";
import { select } from "../fleet/index/select.ts";
import type { SortKey } from "../fleet/index/sorted-slots.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import { isAvailable, questionOf } from "./available.ts";
import { type Order, readOrder } from "./order-by.ts";
import { type Page, readPosition } from "./paging.ts";

const DEFAULT_PAGE_SIZE = 1_000;

interface Bound {
  readonly min: number | undefined;
  readonly max: number | undefined;
}

const BOUNDS: Readonly<Record<string, (bounds: AvailabilityFilter) => Bound>> = {
  cpu_cores_available: ({ minCpuMillicores: min, maxCpuMillicores: max }) => ({ min, max }),
  memory_available_gb: ({ minMemoryMib: min, maxMemoryMib: max }) => ({ min, max }),
  gpu_vram_available_gb: ({ minVramMib: min, maxVramMib: max }) => ({ min, max }),
};

/** Throws INVALID_ARGUMENT for an order or a token that is none. */
export function findAvailable(index: CapacityIndex, request: wire.ListAvailableCapacityRequest): Page<StoredAgent> {
  const { pageSize, pageToken, ...rest } = request;
  const order = readOrder(request.orderBy);
  const { after, tokenAfter } = readPosition({ pageToken, question: rest });
  const question = questionOf(request);
  const found = select(index, {
    ...question,
    requireAttached: false,
    matches: (view) => isAvailable(view, question),
  });
  const totalSize = countBits(found);
  const sorted = index.orderBy(order.figure);
  const limit = pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize;
  const { descending } = order;
  const from = after ?? startOf(order, question.bounds);
  const { slots, hasMore } = firstSlots(sorted, found, totalSize, { descending, after: from, limit });
  const last = slots.at(-1);
  return {
    rows: slots.map((slot) => index.agentAt(slot)),
    nextPageToken: hasMore && last !== undefined ? tokenAfter(sorted.keyOf(last)) : "",
    totalSize,
  };
}

/** Before the first that may match, where the order is by a figure that is bounded itself; null: the order's beginning. */
function startOf({ figure, descending }: Order, bounds: AvailabilityFilter): SortKey | null {
  const bound = BOUNDS[figure.name]?.(bounds)[descending ? "max" : "min"];
  return bound === undefined ? null : { value: bound, agentId: "" };
}
