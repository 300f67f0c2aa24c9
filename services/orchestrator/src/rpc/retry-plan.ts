import { wire } from "@headroom/contracts";
import { HeadroomError, type UnaryHandler } from "@headroom/rpc";
import { callOf } from "./call-of.ts";
import type { HandlerDeps } from "./deps.ts";
import { planAfterwards } from "./get-plan.ts";
import { planNotFound } from "./not-found.ts";

/** Runs what failed of a plan again, and brings back what was cancelled because of it. */
export function retryPlan(deps: HandlerDeps): UnaryHandler<wire.RetryPlanRequest, wire.RetryPlanResponse> {
  return async (request, context) => {
    const planId = request.planId.toLowerCase();
    const requestId = request.requestId === "" ? null : request.requestId.toLowerCase();
    const outcome = await deps.store.retryPlan(planId, requestId, request.reason, callOf(context));
    if (outcome.kind === "unknown") throw planNotFound(planId);
    if (outcome.kind === "request_id_used") throw requestIdReused(outcome.planId);
    const { retriedTasks, restoredTasks, duplicate } = outcome;
    if (!duplicate) {
      const counts = { retried_tasks: retriedTasks, restored_tasks: restoredTasks };
      context.logger.info({ plan_id: planId, ...counts, reason: request.reason }, "plan is tried again");
    }
    // Also of a duplicate: the first call may have heard of no commit, and then has told nobody.
    deps.hub.changed(planId);
    deps.loop.wake("a plan is tried again");
    const plan = await planAfterwards(deps.store, planId);
    return wire.RetryPlanResponse.fromPartial({ plan, retriedTasks, restoredTasks, duplicate });
  };
}

function requestIdReused(planId: string): HeadroomError {
  return new HeadroomError({
    code: "ALREADY_EXISTS",
    reason: "REQUEST_ID_REUSED",
    message: `request_id was used to retry another plan (${planId}): give each retry a request_id of its own`,
    fieldViolations: [{ field: "request_id", description: "was used for another plan" }],
    metadata: { plan_id: planId },
  });
}
