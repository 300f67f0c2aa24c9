import { wire } from "@headroom/contracts";
import type { CallContext, UnaryHandler } from "@headroom/rpc";
import { isWaitingTaskState } from "@headroom/scheduling";
import { taskToWire } from "../present/task-to-wire.ts";
import type { TaskRecord } from "../store/model.ts";
import type { HandlerDeps } from "./deps.ts";
import { taskNotFound } from "./not-found.ts";

const defaultMaxAgents = 20;

/** Why a task does not run, from the gate's and the registry's own verdicts. */
export function explainTask(deps: HandlerDeps): UnaryHandler<wire.ExplainTaskRequest, wire.ExplainTaskResponse> {
  return async (request, context) => {
    const taskId = request.taskId.toLowerCase();
    const task = await deps.store.getTask(taskId);
    if (task === null) throw taskNotFound(taskId);
    const maxAgents = request.maxAgents === 0 ? defaultMaxAgents : request.maxAgents;
    const capacity = isWaitingTaskState(task.state) ? await explainCapacity(deps, task, maxAgents, context) : undefined;
    return wire.ExplainTaskResponse.fromPartial({
      task: taskToWire(task),
      sentence: sentenceFor(deps, task, capacity),
      capacity,
    });
  };
}

/** Undefined when the registry cannot be asked: the gate's sentence then says so. */
async function explainCapacity(
  deps: HandlerDeps,
  task: TaskRecord,
  maxAgents: number,
  context: CallContext,
): Promise<wire.CapacityExplanation | undefined> {
  try {
    return await deps.registry.explain(task.needs, maxAgents);
  } catch (error) {
    context.logger.warn({ err: error, task_id: task.taskId }, "the registry could not be asked why a task waits");
    return undefined;
  }
}

function sentenceFor(deps: HandlerDeps, task: TaskRecord, capacity: wire.CapacityExplanation | undefined): string {
  const agentId = task.attempts[0]?.agentId;
  switch (task.state) {
    case "succeeded":
    case "failed":
    case "cancelled":
      return `It has ${task.state === "cancelled" ? "been cancelled" : task.state}: ${task.outcomeReason}.`;
    case "running":
      return `It runs on agent ${agentId ?? "unknown"}${task.cancelRequested ? ", which is ending it" : ""}.`;
    case "assigned":
      return `It was given to agent ${agentId ?? "unknown"}, which has not answered yet.`;
    case "pending":
    case "reserved":
      return "It is being placed right now.";
    case "lost":
    case "paused":
      return waitingSentence(deps, task, capacity);
  }
}

/** What is in the way for itself first; then what can never fit; then the gate; then room. */
function waitingSentence(deps: HandlerDeps, task: TaskRecord, capacity: wire.CapacityExplanation | undefined): string {
  const { pause } = task;
  if (pause?.reason === "DEPENDENCY_PENDING" || pause?.reason === "HELD") return pause.sentence;
  const resumeAfterMs = pause?.resumeAfterMs ?? null;
  if (resumeAfterMs !== null && resumeAfterMs > deps.ports.clock.now()) {
    return `It does not start before ${new Date(resumeAfterMs).toISOString()}. ${pause?.sentence ?? ""}`.trim();
  }
  // More room will not help: what the gate says would send the reader the wrong way.
  if (capacity?.verdict === wire.FleetVerdict.FLEET_VERDICT_NEVER) return capacity.sentence;
  const answer = deps.gate.askForPlacing(task.needs);
  if (answer.kind === "held") return answer.sentence;
  if (capacity === undefined) return "The registry cannot be asked at the moment.";
  const fits = capacity.verdict === wire.FleetVerdict.FLEET_VERDICT_FITS;
  return fits ? "There is room for it: it starts when it is its turn." : capacity.sentence;
}
