import { planStatusWire, wire } from "@headroom/contracts";
import { invalidArgument, type UnaryHandler } from "@headroom/rpc";
import { countTasks, planStatus } from "@headroom/scheduling";
import { previewPlan as preview } from "../accept/previewer.ts";
import { dispatchedTasksToWire } from "../present/dispatched-tasks.ts";
import type { HandlerDeps } from "./deps.ts";

/** What would run where, what would wait and why. Nothing is kept. */
export function previewPlan(deps: HandlerDeps): UnaryHandler<wire.PreviewPlanRequest, wire.PreviewPlanResponse> {
  return async ({ plan }, context) => {
    if (plan === undefined) throw invalidArgument([{ field: "plan", description: "is missing" }]);
    const tasks = await preview(deps, plan, context.logger);
    return wire.PreviewPlanResponse.fromPartial({
      status: planStatusWire.toWire(planStatus(countTasks(tasks.map(({ state }) => state)))),
      // Ids would be of tasks that do not exist.
      tasks: dispatchedTasksToWire(tasks).map((task) => ({ ...task, taskId: "" })),
    });
  };
}
