import { planStatusWire, timestampFromMs, timestampFromMsOrNull, wire } from "@headroom/contracts";
import { planSummary, type TaskCounts } from "@headroom/scheduling";
import type { PlanRecord, TaskRecord } from "../store/model.ts";
import { holdToWire } from "./hold-to-wire.ts";
import { taskToWire } from "./task-to-wire.ts";

/** A plan for its readers; its tasks only where asked for. */
export function planToWire(plan: PlanRecord, tasks: readonly TaskRecord[] = []): wire.Plan {
  return wire.Plan.fromPartial({
    planId: plan.planId,
    name: plan.name,
    status: planStatusWire.toWire(planSummary(plan.counts).status),
    priority: plan.priority,
    labels: { ...plan.labels },
    createdAt: timestampFromMs(plan.createdAtMs),
    finishedAt: timestampFromMsOrNull(plan.finishedAtMs),
    counts: countsToWire(plan.counts),
    tasks: tasks.map(taskToWire),
    cancelRequested: plan.cancelRequested,
    namespace: plan.namespace,
    hold: holdToWire(plan.hold),
    traceparent: plan.traceparent,
  });
}

function countsToWire(counts: TaskCounts): wire.TaskCounts {
  return wire.TaskCounts.fromPartial({
    total: planSummary(counts).total,
    pending: counts.pending,
    paused: counts.paused,
    assigned: counts.reserved + counts.assigned,
    running: counts.running,
    succeeded: counts.succeeded,
    failed: counts.failed,
    cancelled: counts.cancelled,
    lost: counts.lost,
  });
}
