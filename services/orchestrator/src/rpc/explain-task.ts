import { timestampFromMsOrNull, wire } from "@headroom/contracts";
import type { CallContext, UnaryHandler } from "@headroom/rpc";
import { isWaitingTaskState } from "@headroom/scheduling";
import { expectStart } from "../estimates/expect-start.ts";
import { queueHoldSentence } from "../operate/queue-hold-view.ts";
import { holdToWire } from "../present/hold-to-wire.ts";
import { orderSentence } from "../present/order-sentence.ts";
import { taskToWire } from "../present/task-to-wire.ts";
import type { CapacityAnswer } from "../registry/port.ts";
import type { TaskRecord } from "../store/model.ts";
import type { QueuePlace } from "../store/port.ts";
import type { HandlerDeps } from "./deps.ts";
import { taskNotFound } from "./not-found.ts";

const defaultMaxAgents = 20;
/** Places before it are counted up to here: who is further back learns no more from the number. */
const countedAtMost = 10_000;

/** Why a task does not run, from the gate's and the registry's own verdicts, and when it is expected to. */
export function explainTask(deps: HandlerDeps): UnaryHandler<wire.ExplainTaskRequest, wire.ExplainTaskResponse> {
  return async (request, context) => {
    const taskId = request.taskId.toLowerCase();
    const task = await deps.store.getTask(taskId);
    if (task === null) throw taskNotFound(taskId);
    if (!isWaitingTaskState(task.state)) {
      return wire.ExplainTaskResponse.fromPartial({ task: taskToWire(task), sentence: settledSentence(task) });
    }
    const maxAgents = request.maxAgents === 0 ? defaultMaxAgents : request.maxAgents;
    const [capacity, plan, place] = await Promise.all([
      explainCapacity(deps, task, maxAgents, context),
      deps.store.getPlan(task.planId),
      deps.store.queuePlace(taskId, countedAtMost),
    ]);
    const hold = plan?.hold ?? deps.queueHold.current();
    const canStart = hold === null && capacity?.explanation.verdict !== wire.FleetVerdict.FLEET_VERDICT_NEVER;
    const expected =
      place === null || !canStart ? null : await expectStart(deps.store, task, place, roomInMs(capacity));
    return wire.ExplainTaskResponse.fromPartial({
      task: taskToWire(task),
      sentence: waitingSentence(deps, task, capacity?.explanation, place),
      capacity: capacity?.explanation,
      queuePosition: place === null ? 0 : Math.min(countedAtMost, place.higherPriority + place.samePriority) + 1,
      tasksAheadOfHigherPriority: place?.higherPriority ?? 0,
      tasksAheadOfSamePriority: place?.samePriority ?? 0,
      expectedStartEarliest: timestampFromMsOrNull(expected?.earliestMs ?? null),
      expectedStartLatest: timestampFromMsOrNull(expected?.latestMs ?? null),
      hold: holdToWire(hold),
    });
  };
}

/** In how long the registry expects room; none to wait for where there is some. */
function roomInMs(capacity: CapacityAnswer | undefined): number | null {
  if (capacity === undefined) return null;
  const fits = capacity.explanation.verdict === wire.FleetVerdict.FLEET_VERDICT_FITS;
  return fits ? 0 : capacity.roomInMs;
}

/** Undefined when the registry cannot be asked: the gate's sentence then says so. */
async function explainCapacity(
  deps: HandlerDeps,
  task: TaskRecord,
  maxAgents: number,
  context: CallContext,
): Promise<CapacityAnswer | undefined> {
  try {
    return await deps.registry.explain(task.needs, maxAgents);
  } catch (error) {
    context.logger.warn({ err: error, task_id: task.taskId }, "the registry could not be asked why a task waits");
    return undefined;
  }
}

function settledSentence(task: TaskRecord): string {
  const agentId = task.attempts[0]?.agentId ?? "unknown";
  switch (task.state) {
    case "succeeded":
    case "failed":
    case "cancelled":
      return `It has ${task.state === "cancelled" ? "been cancelled" : task.state}: ${task.outcomeReason}.`;
    case "running":
      return `It runs on agent ${agentId}${task.cancelRequested ? ", which is ending it" : ""}.`;
    case "assigned":
      return `It was given to agent ${agentId}, which has not answered yet.`;
    case "pending":
    case "reserved":
    case "lost":
    case "paused":
      return "It is being placed right now.";
  }
}

/** What is in the way for itself first; then a hold; then what can never fit; then the gate; then room and order. */
function waitingSentence(
  deps: HandlerDeps,
  task: TaskRecord,
  capacity: wire.CapacityExplanation | undefined,
  place: QueuePlace | null,
): string {
  const { pause } = task;
  if (pause === null) return settledSentence(task);
  const hold = deps.queueHold.current();
  const held = hold === null ? "" : queueHoldSentence(hold);
  if (pause.reason === "DEPENDENCY_PENDING") return `${pause.sentence} ${held}`.trim();
  // A row that says HELD after the queue was released has not been looked at again yet.
  if (pause.reason === "HELD" && place === null) return pause.sentence;
  if (hold !== null) return held;
  const { resumeAfterMs } = pause;
  if (resumeAfterMs !== null && resumeAfterMs > (place?.nowMs ?? deps.ports.clock.now())) {
    const when = pause.reason === "RESUME_AFTER" ? "does not start before" : "is tried again at";
    return `It ${when} ${new Date(resumeAfterMs).toISOString()}. ${pause.sentence}`.trim();
  }
  // More room will not help: what the gate says would send the reader the wrong way.
  if (capacity?.verdict === wire.FleetVerdict.FLEET_VERDICT_NEVER) {
    return `${capacity.sentence} It waits until an agent joins on which it fits.`;
  }
  const order = place === null ? "" : orderSentence(place, countedAtMost);
  const answer = deps.gate.askForPlacing(task.needs);
  if (answer.kind === "held") return `${answer.sentence} ${order}`.trim();
  if (capacity === undefined) return `The registry cannot be asked at the moment. ${order}`.trim();
  const fits = capacity.verdict === wire.FleetVerdict.FLEET_VERDICT_FITS;
  const room = fits ? "There is room for it: it starts when it is its turn." : capacity.sentence;
  return `${room} ${order}`.trim();
}
