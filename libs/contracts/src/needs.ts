import { normalizeNeeds, type Needs } from "@headroom/scheduling";
import { ResourceNeeds } from "./gen/headroom/common/v1/resources.ts";
import { coresFromMillicores, gbFromMib, mibFromGbRequested, millicoresFromCoresRequested } from "./units.ts";

/** What a task needs, with the defaults filled in; absent: one core. Throws RangeError for figures that validation refuses. */
export function needsFromWire(needs: ResourceNeeds | undefined): Needs {
  if (needs === undefined) return normalizeNeeds({});
  return normalizeNeeds({
    cpuMillicores: ifPresent(needs.cpuCores, millicoresFromCoresRequested),
    memoryMib: ifPresent(needs.memoryGb, mibFromGbRequested),
    gpuCount: needs.gpuCount,
    gpuVramMib: ifPresent(needs.gpuVramGb, mibFromGbRequested),
    gpuExclusive: needs.gpuExclusive,
    gpuModels: needs.gpuModels,
    labels: needs.labels,
    pool: needs.pool === "" ? null : needs.pool,
    agentId: needs.agentId === "" ? null : needs.agentId.toLowerCase(),
  });
}

/** Needs with every default written out, so that a reader need not know them. */
export function needsToWire(needs: Needs): ResourceNeeds {
  return ResourceNeeds.fromPartial({
    cpuCores: coresFromMillicores(needs.cpuMillicores),
    memoryGb: gbFromMib(needs.memoryMib),
    gpuCount: needs.gpuCount,
    gpuVramGb: gbFromMib(needs.gpuVramMib),
    gpuExclusive: needs.gpuExclusive,
    gpuModels: [...needs.gpuModels],
    labels: { ...needs.labels },
    pool: needs.pool ?? "",
    agentId: needs.agentId ?? "",
  });
}

function ifPresent(value: number | undefined, convert: (value: number) => number): number | undefined {
  return value === undefined ? undefined : convert(value);
}
