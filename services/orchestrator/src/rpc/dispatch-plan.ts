import { planStatusWire, wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { countTasks, planStatus } from "@headroom/scheduling";
import type { TaskNow } from "../accept/acceptor.ts";
import { dispatchedTasksToWire } from "../present/dispatched-tasks.ts";
import type { TaskRecord } from "../store/model.ts";
import { callOf } from "./call-of.ts";
import type { HandlerDeps } from "./deps.ts";
import { planNotFound } from "./not-found.ts";

/** Accepts a plan. That it must wait is an answer, not an error (R-PAUSE-5). */
export function dispatchPlan(deps: HandlerDeps): UnaryHandler<wire.DispatchPlanRequest, wire.DispatchPlanResponse> {
  return async (request, context) => {
    const accepted = await deps.acceptor.accept(request, context.logger, callOf(context));
    if (accepted.kind === "accepted") return answer(accepted.planId, accepted.tasks, false);
    const [plan, tasks] = await Promise.all([
      deps.store.getPlan(accepted.planId),
      deps.store.planTasks(accepted.planId),
    ]);
    if (plan === null) throw planNotFound(accepted.planId);
    return answer(plan.planId, tasks.map(taskNow), true);
  };
}

function taskNow(task: TaskRecord): TaskNow {
  return {
    taskId: task.taskId,
    name: task.name,
    state: task.state,
    reason: task.pause?.reason ?? null,
    sentence: task.pause?.sentence ?? task.outcomeReason,
    agentId: task.pause === null ? (task.attempts[0]?.agentId ?? null) : null,
  };
}

function answer(planId: string, tasks: readonly TaskNow[], duplicate: boolean): wire.DispatchPlanResponse {
  const counts = countTasks(tasks.map(({ state }) => state));
  return wire.DispatchPlanResponse.fromPartial({
    planId,
    status: planStatusWire.toWire(planStatus(counts)),
    pausedTasks: counts.paused + counts.lost,
    dispatchedTasks: tasks.length - counts.paused - counts.lost - counts.pending,
    tasks: dispatchedTasksToWire(tasks),
    duplicate,
  });
}
