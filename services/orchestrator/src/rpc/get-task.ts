import { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { taskToWire } from "../present/task-to-wire.ts";
import type { HandlerDeps } from "./deps.ts";
import { taskNotFound } from "./not-found.ts";

/** One task with all its attempts. */
export function getTask({ store }: HandlerDeps): UnaryHandler<wire.GetTaskRequest, wire.GetTaskResponse> {
  return async (request) => {
    const taskId = request.taskId.toLowerCase();
    const task = await store.getTask(taskId);
    if (task === null) throw taskNotFound(taskId);
    return wire.GetTaskResponse.fromPartial({ task: taskToWire(task) });
  };
}
