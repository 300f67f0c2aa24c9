import { wire } from "@headroom/contracts";
import { failedPrecondition, type UnaryHandler } from "@headroom/rpc";
import { callOf } from "./call-of.ts";
import { decideUndelivered } from "../work/decide-result.ts";
import type { HandlerDeps } from "./deps.ts";
import { planAfterwards } from "./get-plan.ts";
import { planNotFound } from "./not-found.ts";

/** Keeps the waiting tasks of a plan from starting. Twice is fine. */
export function holdPlan(deps: HandlerDeps): UnaryHandler<wire.HoldPlanRequest, wire.HoldPlanResponse> {
  return async (request, context) => {
    const planId = request.planId.toLowerCase();
    const { reason, heldBy } = request;
    const decide = decideUndelivered("its plan was held before it was sent to its agent", "HELD");
    const outcome = await deps.store.holdPlan(planId, { reason, by: heldBy, call: callOf(context) }, decide);
    switch (outcome.kind) {
      case "unknown":
        throw planNotFound(planId);
      case "finished":
        throw failedPrecondition(
          "PLAN_ALREADY_FINISHED",
          `the plan has ended already (${outcome.status}): nothing of it waits`,
        );
      case "held":
        context.logger.info({ plan_id: planId, held_tasks: outcome.heldTasks, held_by: heldBy, reason }, "plan held");
        for (const { applied, ...attempt } of outcome.takenBack) deps.settle(attempt, applied, "held", context.logger);
        deps.hub.changed(planId);
        return wire.HoldPlanResponse.fromPartial({
          plan: await planAfterwards(deps.store, planId),
          heldTasks: outcome.heldTasks,
        });
    }
  };
}
