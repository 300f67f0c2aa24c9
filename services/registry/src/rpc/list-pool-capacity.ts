import type { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { pageOf } from "../queries/paging.ts";
import { poolCapacity } from "../queries/pools.ts";
import type { HandlerDeps } from "./deps.ts";

const DEFAULT_PAGE_SIZE = 1_000;

/** R-CAP-9: capacity summed by pool, ordered by name. */
export function listPoolCapacity(
  deps: HandlerDeps,
): UnaryHandler<wire.ListPoolCapacityRequest, wire.ListPoolCapacityResponse> {
  return async ({ poolName, pageSize, pageToken }) => {
    deps.requireReady();
    deps.index.refresh();
    const pools = deps.index.pools.all().filter((pool) => poolName === "" || pool.poolName === poolName);
    // The name is its own tie-breaker.
    const page = pageOf(pools, { descending: false }, (pool) => ({ value: pool.poolName, agentId: "" }), {
      pageSize: pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize,
      pageToken,
      question: ["pools", poolName],
    });
    return { pools: page.rows.map(poolCapacity), nextPageToken: page.nextPageToken };
  };
}
