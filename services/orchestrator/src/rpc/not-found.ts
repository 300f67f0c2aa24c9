import { type HeadroomError, notFound } from "@headroom/rpc";

export function planNotFound(planId: string): HeadroomError {
  return notFound("PLAN_NOT_FOUND", `there is no plan ${planId}; "headroom plan list" shows what there is`, {
    plan_id: planId,
  });
}

export function taskNotFound(taskId: string): HeadroomError {
  return notFound("TASK_NOT_FOUND", `there is no task ${taskId}; "headroom plan get PLAN" shows the tasks of a plan`, {
    task_id: taskId,
  });
}
