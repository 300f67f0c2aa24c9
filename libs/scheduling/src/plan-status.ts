/** A plan's status: nothing but a reading of its tasks' states. */
import { isActiveTaskState, isFinalTaskState, TASK_STATES, type TaskState } from "./task-state.ts";

export type PlanStatus =
  /** All that may start has started, or is about to; nothing waits. */
  | "dispatched"
  | "partly_paused"
  /** Nothing of it runs, and some of it waits. */
  | "paused"
  | "succeeded"
  | "failed"
  | "cancelled";

export type TaskCounts = { readonly [S in TaskState]: number };

export interface PlanSummary {
  readonly status: PlanStatus;
  readonly total: number;
  readonly counts: TaskCounts;
  /** Waiting in the queue: `paused`, and `lost` on its way back there. */
  readonly pausedTasks: number;
}

export function countTasks(states: readonly TaskState[]): TaskCounts {
  // Every state is a key: TASK_STATES lists them all.
  const counts = Object.fromEntries(TASK_STATES.map((state) => [state, 0])) as Record<TaskState, number>;
  for (const state of states) counts[state] += 1;
  return counts;
}

export function planSummary(counts: TaskCounts): PlanSummary {
  const total = sumOver(counts, () => true);
  return { status: planStatus(counts), total, counts, pausedTasks: counts.paused + counts.lost };
}

export function planStatus(counts: TaskCounts): PlanStatus {
  const total = sumOver(counts, () => true);
  if (total > 0 && sumOver(counts, isFinalTaskState) === total) {
    if (counts.failed > 0) return "failed";
    return counts.cancelled > 0 ? "cancelled" : "succeeded";
  }
  const moving = sumOver(counts, isActiveTaskState) + counts.pending;
  if (counts.paused + counts.lost > 0) return moving > 0 ? "partly_paused" : "paused";
  return "dispatched";
}

function sumOver(counts: TaskCounts, isCounted: (state: TaskState) => boolean): number {
  return TASK_STATES.reduce((sum, state) => sum + (isCounted(state) ? counts[state] : 0), 0);
}
