import { pauseReasonWire, taskStateWire, timestampFromMs, wire } from "@headroom/contracts";
import type { EventRecord } from "../store/model.ts";

export function eventToWire(event: EventRecord): wire.PlanEvent {
  return wire.PlanEvent.fromPartial({
    eventId: event.eventId,
    at: timestampFromMs(event.atMs),
    planId: event.planId,
    taskId: event.taskId ?? "",
    taskName: event.taskName,
    attemptId: event.attemptId ?? "",
    agentId: event.agentId ?? "",
    kind: event.kind,
    fromState: event.fromState === null ? 0 : taskStateWire.toWire(event.fromState),
    toState: event.toState === null ? 0 : taskStateWire.toWire(event.toState),
    sentence: event.sentence,
    actor: event.actor,
    requestId: event.requestId,
    traceparent: event.traceparent,
    pauseReason: event.pauseReason === null ? 0 : pauseReasonWire.toWire(event.pauseReason),
  });
}
