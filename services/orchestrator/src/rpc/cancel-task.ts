import { wire } from "@headroom/contracts";
import { failedPrecondition, type UnaryHandler } from "@headroom/rpc";
import { taskToWire } from "../present/task-to-wire.ts";
import { afterCancel } from "./after-cancel.ts";
import { callOf } from "./call-of.ts";
import type { HandlerDeps } from "./deps.ts";
import { taskNotFound } from "./not-found.ts";

/** Cancels one task, and with it what depends on it. */
export function cancelTask(deps: HandlerDeps): UnaryHandler<wire.CancelTaskRequest, wire.CancelTaskResponse> {
  return async (request, context) => {
    const taskId = request.taskId.toLowerCase();
    const outcome = await deps.store.cancelTask(taskId, request.reason, "planner", callOf(context));
    if (outcome.kind === "unknown") throw taskNotFound(taskId);
    if (outcome.kind === "finished" && outcome.state !== "cancelled") {
      throw failedPrecondition(
        "TASK_ALREADY_FINISHED",
        `the task has ${outcome.state} already: what has ended stays so`,
      );
    }
    const task = await deps.store.getTask(taskId);
    if (task === null) throw taskNotFound(taskId);
    if (outcome.kind === "cancelled") {
      context.logger.info(
        { plan_id: task.planId, task_id: taskId, state: task.state, reason: request.reason },
        "task cancelled",
      );
      afterCancel(deps, task.planId, outcome, request.reason);
    }
    return wire.CancelTaskResponse.fromPartial({ task: taskToWire(task) });
  };
}
