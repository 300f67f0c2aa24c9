/** One page of the agents that a request asks for, and how many there are on all pages: exact, without touching the fleet. */
import type { wire } from "@headroom/contracts";
import { countBits } from "../fleet/index/bits.ts";
import type { CapacityIndex } from "../fleet/index/capacity-index.ts";
import { firstSlots } from "../fleet/index/first-slots.ts";
import { select } from "../fleet/index/select.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import { isAvailable, questionOf } from "./available.ts";
import { readOrder } from "./order-by.ts";
import { type Page, readPosition } from "./paging.ts";

const DEFAULT_PAGE_SIZE = 1_000;

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
  const { slots, hasMore } = firstSlots(sorted, found, totalSize, { descending: order.descending, after, limit });
  const last = slots.at(-1);
  return {
    rows: slots.map((slot) => index.agentAt(slot)),
    nextPageToken: hasMore && last !== undefined ? tokenAfter(sorted.keyOf(last)) : "",
    totalSize,
  };
}
