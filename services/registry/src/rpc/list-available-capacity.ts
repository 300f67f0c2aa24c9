import type { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import type { AvailableAnswer } from "../queries/encoded-answers.ts";
import { encodedRow } from "../queries/encoded-rows.ts";
import { findAvailable } from "../queries/find-available.ts";
import type { HandlerDeps } from "./deps.ts";

/** R-CAP-4, R-CAP-5, R-CAP-9: the online desktops within all bounds. No match is an empty list. */
export function listAvailableCapacity(
  deps: HandlerDeps,
): UnaryHandler<wire.ListAvailableCapacityRequest, AvailableAnswer> {
  return async (request, context) => {
    deps.requireReady();
    const page = findAvailable(deps.index, request);
    context.logger.info(
      {
        agents: page.totalSize,
        min_gpu_vram_gb: request.minGpuVramGb,
        min_cpu_cores: request.minCpuCores ?? 1,
        known_agents: deps.fleet.size,
      },
      `${page.totalSize} agents have the capacity asked for`,
    );
    const nowMs = deps.storeClock.now();
    return {
      rows: page.rows.map((agent) => encodedRow(agent, nowMs)),
      nextPageToken: page.nextPageToken,
      totalSize: page.totalSize,
    };
  };
}
