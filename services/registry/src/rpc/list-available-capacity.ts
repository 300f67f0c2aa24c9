import type { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import type { AvailableAnswer } from "../queries/encoded-answers.ts";
import { encodedRow } from "../queries/encoded-rows.ts";
import { findAvailable } from "../queries/find-available.ts";
import { digestOf } from "../queries/paging.ts";
import { AnswerLines } from "./answer-lines.ts";
import type { HandlerDeps } from "./deps.ts";

/** R-CAP-4, R-CAP-5, R-CAP-9: the online desktops within all bounds. No match is an empty list. */
export function listAvailableCapacity(
  deps: HandlerDeps,
): UnaryHandler<wire.ListAvailableCapacityRequest, AvailableAnswer> {
  const lines = new AnswerLines();
  return async (request, context) => {
    deps.requireReady();
    const page = findAvailable(deps.index, request);
    const { pageSize: _size, pageToken: _token, ...question } = request;
    const { mayWrite, withheld } = lines.take(digestOf(question), page.totalSize, deps.clock.monotonic());
    context.logger[mayWrite ? "info" : "debug"](
      {
        agents: page.totalSize,
        min_gpu_vram_gb: request.minGpuVramGb,
        min_cpu_cores: request.minCpuCores ?? 1,
        ...(request.poolName !== "" && { pool_name: request.poolName }),
        known_agents: deps.fleet.size,
        ...(withheld > 0 && { answers_not_told: withheld }),
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
