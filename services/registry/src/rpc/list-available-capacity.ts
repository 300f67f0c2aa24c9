import type { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { viewOf } from "../fleet/agent-views.ts";
import { availabilityOf } from "../queries/available.ts";
import { capacityOf } from "../queries/capacity-of.ts";
import { readOrder } from "../queries/order-by.ts";
import { pageOf } from "../queries/paging.ts";
import type { HandlerDeps } from "./deps.ts";

const DEFAULT_PAGE_SIZE = 1_000;

/** R-CAP-4, R-CAP-5, R-CAP-9: the online desktops within all bounds. No match is an empty list. */
export function listAvailableCapacity(
  deps: HandlerDeps,
): UnaryHandler<wire.ListAvailableCapacityRequest, wire.ListAvailableCapacityResponse> {
  return async (request, context) => {
    deps.requireReady();
    const order = readOrder(request.orderBy);
    const matches = availabilityOf(request);
    const { pageSize, pageToken, ...question } = request;
    const rows = [...deps.fleet.agents()].filter((agent) => matches(viewOf(agent)));
    const page = pageOf(rows, order, (agent) => ({ value: order.valueOf(agent), agentId: agent.agentId }), {
      pageSize: pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize,
      pageToken,
      question,
    });
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
      agents: page.rows.map((agent) => capacityOf(agent, nowMs)),
      nextPageToken: page.nextPageToken,
      totalSize: page.totalSize,
    };
  };
}
