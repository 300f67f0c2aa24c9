import { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { afterCancel } from "./after-cancel.ts";
import { callOf } from "./call-of.ts";
import type { HandlerDeps } from "./deps.ts";
import { planAfterwards } from "./get-plan.ts";
import { planNotFound } from "./not-found.ts";

/** Waiting tasks end at once, running ones when their agent has ended them. Twice is fine. */
export function cancelPlan(deps: HandlerDeps): UnaryHandler<wire.CancelPlanRequest, wire.CancelPlanResponse> {
  return async (request, context) => {
    const planId = request.planId.toLowerCase();
    const outcome = await deps.store.cancelPlan(planId, request.reason, "planner", callOf(context));
    if (outcome === null) throw planNotFound(planId);
    context.logger.info(
      {
        plan_id: planId,
        cancelled_tasks: outcome.cancelledTasks,
        running_attempts: outcome.running.length,
        reason: request.reason,
      },
      "plan cancelled",
    );
    afterCancel(deps, planId, outcome, request.reason);
    return wire.CancelPlanResponse.fromPartial({ plan: await planAfterwards(deps.store, planId) });
  };
}
