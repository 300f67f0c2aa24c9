import type { wire } from "@headroom/contracts";
import { need, type Run } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { amount, gb, gbOf } from "../output/format.ts";
import type { Cell } from "../output/table.ts";
import { mostRows, readPages } from "../pages.ts";

export interface PoolsOptions {
  readonly pool?: string;
  readonly limit?: number;
}

/** `headroom capacity --pools`: how full is each pool. As JSON: ListPoolCapacityResponse. */
export function capacityPools({ pool, limit = mostRows }: PoolsOptions): Run {
  return async (context) => {
    const { capacity } = context.client();
    const answer = await readPages(limit, "pools", async (page) =>
      need(await capacity.listPools({ poolName: pool ?? "", ...page })),
    );
    if (context.isJson) context.printJson("registry", "ListPoolCapacityResponse", answer);
    else if (answer.pools.length === 0) context.say(noPool(pool));
    else
      context.printTable(
        ["POOL", "ONLINE", "CPU FREE", "MEMORY FREE", "VRAM FREE", "LARGEST ON ONE CARD"],
        answer.pools.map(poolRow),
      );
    if (answer.nextPageToken !== "") context.say(`there are more; --limit shows up to ${mostRows}`);
    return exitCodes.done;
  };
}

/** Pools are there by the desktops in them. */
function noPool(pool: string | undefined): string {
  return pool === undefined
    ? "no desktop is known, so there is no pool; headroom agents list shows all agents"
    : `no desktop is known in pool ${pool}; headroom capacity --pools shows all pools`;
}

/** Totals are of desktops that are online, what is free of those that get new work. */
function poolRow(pool: wire.PoolCapacity): Cell[] {
  return [
    pool.poolName,
    `${pool.agentsOnline} / ${pool.agentsTotal}`,
    `${amount(pool.cpuCoresAvailable)} / ${amount(pool.cpuCoresPhysical)}`,
    gbOf(pool.memoryAvailableGb, pool.memoryTotalGb),
    gbOf(pool.gpuVramAvailableGb, pool.gpuVramTotalGb),
    pool.gpuVramTotalGb === 0 ? "-" : gb(pool.gpuVramAvailableLargestCardGb),
  ];
}
