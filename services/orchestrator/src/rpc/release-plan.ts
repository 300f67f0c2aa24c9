import { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { callOf } from "./call-of.ts";
import type { HandlerDeps } from "./deps.ts";
import { planAfterwards } from "./get-plan.ts";
import { planNotFound } from "./not-found.ts";

/** Lets the tasks of a held plan take their place in the queue again. A plan that is not held is fine. */
export function releasePlan(deps: HandlerDeps): UnaryHandler<wire.ReleasePlanRequest, wire.ReleasePlanResponse> {
  return async (request, context) => {
    const planId = request.planId.toLowerCase();
    const { reason, releasedBy } = request;
    const released = await deps.store.releasePlan(planId, { reason, by: releasedBy, call: callOf(context) });
    if (released === null) throw planNotFound(planId);
    context.logger.info(
      { plan_id: planId, released_tasks: released, released_by: releasedBy, reason },
      "plan released",
    );
    deps.hub.changed(planId);
    deps.loop.wake("a plan is released");
    return wire.ReleasePlanResponse.fromPartial({
      plan: await planAfterwards(deps.store, planId),
      releasedTasks: released,
    });
  };
}
