/** The life of a task: its states, what moves it between them. Guards in SQL repeat the row of the table they rely on. */
import { step, type Step } from "./state-table.ts";
import { TASK_TABLE } from "./task-table.ts";

export type TaskState =
  /** Accepted, durable, not yet looked at. */
  | "pending"
  /** Parked, with a reason. */
  | "paused"
  /** Room is promised on an agent. */
  | "reserved"
  /** An attempt is recorded and on its way to the agent. */
  | "assigned"
  /** The agent has it. */
  | "running"
  | "succeeded"
  | "failed"
  | "cancelled"
  /** The agent that ran it is gone, and the attempt's lease has ended; goes back to `paused` with a new attempt. */
  | "lost";

export type TaskEvent =
  /** The gate holds it, or its dependencies, its `resume_after`, an operator, or a registry that cannot be asked. */
  | "gate_held"
  /** It fits on no agent now. */
  | "no_room"
  | "reserved"
  /** The promise ended (expired, refused) before it was used. */
  | "reservation_lost"
  | "assigned"
  /** The agent did not take it: unreachable, or it refused. */
  | "delivery_failed"
  /** The agent has journalled it. */
  | "accepted"
  | "started"
  | "succeeded"
  /** Failed, and may be tried again. */
  | "failed_retryable"
  | "failed_final"
  | "cancel_requested"
  /** Nothing of it runs any more. */
  | "cancelled"
  /** Its work lease has ended without a word. */
  | "lost"
  /** A new attempt may follow. */
  | "requeued"
  /** No attempt is left. */
  | "attempts_exhausted"
  /** A task it depends on failed or was cancelled. */
  | "dependency_failed"
  /** It can never fit, and was to fail then. */
  | "unsatisfiable"
  /** It waited longer than it was to. */
  | "wait_timed_out"
  /** A person asks for a finished, failed task again. */
  | "retry_requested";

export type TaskRejection =
  /** It has ended; what ended stays so. */
  | "ALREADY_FINAL"
  /** It is further along already: a repeated or late message. */
  | "ALREADY_FURTHER"
  /** It is not there yet: the message belongs to no attempt that is recorded. */
  | "NOT_THERE_YET"
  /** It speaks of an attempt that has been given up. */
  | "SUPERSEDED"
  /** Only tasks that wait can do that. */
  | "NOT_WAITING"
  /** Only failed, cancelled or lost tasks can be asked for again. */
  | "NOT_FAILED";

export const TASK_STATES = Object.keys(TASK_TABLE) as readonly TaskState[]; // keys of a mapped type over TaskState

export type TaskStep = Step<TaskState, TaskRejection>;

/**
 * What an event makes of a task. With `cancelRequested` (somebody asked for it while it was assigned or running) it is
 * never queued again: where the table says so, it is cancelled.
 */
export function taskStep(state: TaskState, event: TaskEvent, cancelRequested: boolean): TaskStep {
  const next = step(TASK_TABLE, state, event);
  const wouldQueue = next.kind === "moved" && (next.to === "paused" || next.to === "lost");
  if (next.kind === "moved" && cancelRequested && wouldQueue) return { ...next, to: "cancelled" };
  return next;
}

export function isFinalTaskState(state: TaskState): boolean {
  return state === "succeeded" || state === "failed" || state === "cancelled";
}

/** Whether it waits for room (or for its turn to look for some). */
export function isWaitingTaskState(state: TaskState): boolean {
  return state === "pending" || state === "paused" || state === "lost";
}

/** Whether it takes room on an agent, or has been promised some. */
export function isActiveTaskState(state: TaskState): boolean {
  return state === "reserved" || state === "assigned" || state === "running";
}
