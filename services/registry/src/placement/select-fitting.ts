/** The agents on which needs fit, as the index knows the fleet. */
import { fit, type FitOptions, type Needs } from "@headroom/scheduling";
import type { Bits } from "../fleet/index/bits.ts";
import type { CapacityIndex } from "../fleet/index/capacity-index.ts";
import { select } from "../fleet/index/select.ts";

/** A bitmap of their slots, which the next selection overwrites. */
export function selectFitting(index: CapacityIndex, needs: Needs, options: FitOptions): Bits {
  return select(index, {
    poolName: needs.pool,
    labels: needs.labels,
    bounds: { minCpuMillicores: needs.cpuMillicores, minMemoryMib: needs.memoryMib },
    minCards: needs.gpuCount,
    perCardMib: Math.max(1, needs.gpuVramMib),
    models: needs.gpuModels.map((model) => model.toLowerCase()),
    requireAttached: options.requireAttached !== false,
    matches: (view) => fit(view, needs, options).kind === "fits",
  });
}
