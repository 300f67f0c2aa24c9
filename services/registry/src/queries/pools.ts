/** The room of pools: sums over their online desktops that take work (R-CAP-9). */
import { coresFromMillicores, gbFromMib, type wire } from "@headroom/contracts";
import type { PoolTotal } from "../fleet/index/pool-totals.ts";

export function poolCapacity(pool: PoolTotal): wire.PoolCapacity {
  return {
    poolName: pool.poolName,
    agentsOnline: pool.agentsOnline,
    agentsTotal: pool.agentsTotal,
    cpuCoresAvailable: coresFromMillicores(pool.cpuFree),
    cpuCoresPhysical: coresFromMillicores(pool.cpuTotal),
    memoryAvailableGb: gbFromMib(pool.memoryFree),
    memoryTotalGb: gbFromMib(pool.memoryTotal),
    gpuVramAvailableGb: gbFromMib(pool.vramFree),
    gpuVramTotalGb: gbFromMib(pool.vramTotal),
    gpuVramAvailableLargestCardGb: gbFromMib(pool.largestCardFree),
  };
}
