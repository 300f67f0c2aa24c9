/** The agents on which needs fit, as the index knows the fleet. */
import { fit, type Needs } from "@headroom/scheduling";
import type { Bits } from "../fleet/index/bits.ts";
import type { CapacityIndex } from "../fleet/index/capacity-index.ts";
import { select } from "../fleet/index/select.ts";

/** A bitmap of their slots, which the next selection overwrites. */
export function selectFitting(index: CapacityIndex, needs: Needs): Bits {
  return select(index, {
    poolName: needs.pool,
    labels: needs.labels,
    bounds: { minCpuMillicores: needs.cpuMillicores, minMemoryMib: needs.memoryMib },
    minCards: needs.gpuCount,
    perCardMib: Math.max(1, needs.gpuVramMib),
    models: needs.gpuModels.map((model) => model.toLowerCase()),
    requireAttached: true,
    matches: (view) => fit(view, needs).kind === "fits",
  });
}
