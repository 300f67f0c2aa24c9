import type { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { LineBudget } from "../liveness/line-budget.ts";
import type { AvailableAnswer } from "../queries/encoded-answers.ts";
import { encodedRow } from "../queries/encoded-rows.ts";
import { findAvailable } from "../queries/find-available.ts";
import { digestOf } from "../queries/paging.ts";
import type { HandlerDeps } from "./deps.ts";

/** A person who asks sees the answer in the log; a dashboard that hears the same every second must not push all else out of it. */
const TOLD = { lines: 1, perMs: 60_000 };
/** A digest and a few figures each. */
const MAX_ANSWERS = 1_000;

/** R-CAP-4, R-CAP-5, R-CAP-9: the online desktops within all bounds. No match is an empty list. */
export function listAvailableCapacity(
  deps: HandlerDeps,
): UnaryHandler<wire.ListAvailableCapacityRequest, AvailableAnswer> {
  const budgets = new Map<string, LineBudget>();
  return async (request, context) => {
    deps.requireReady();
    const page = findAvailable(deps.index, request);
    const { pageSize: _size, pageToken: _token, ...question } = request;
    const budget = budgetOf(budgets, digestOf([question, page.totalSize]));
    const { mayWrite, withheld } = budget.take(deps.clock.monotonic());
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

/** Of each question with its count an own one; of more than these the oldest is forgotten. */
function budgetOf(budgets: Map<string, LineBudget>, answer: string): LineBudget {
  const known = budgets.get(answer);
  if (known !== undefined) return known;
  const oldest = budgets.size >= MAX_ANSWERS ? budgets.keys().next().value : undefined;
  if (oldest !== undefined) budgets.delete(oldest);
  const budget = new LineBudget(TOLD);
  budgets.set(answer, budget);
  return budget;
}
