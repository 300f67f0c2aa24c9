/** The life of a task: its states, what moves it between them. Guards in SQL repeat the row of the table they rely on. */
import { step, type StateTable, type Step } from "./state-table.ts";

export type TaskState =
  /** Accepted, durable, not yet looked at. */
  | "pending"
  /** Parked, with a reason. */
  | "paused"
  /** Room is promised on an agent. */
  | "reserved"
  /** An attempt is recorded and on its way to the agent, or there and not yet started. */
  | "assigned"
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

const FINAL = {
  gate_held: "!ALREADY_FINAL",
  no_room: "!ALREADY_FINAL",
  reserved: "!ALREADY_FINAL",
  reservation_lost: "!ALREADY_FINAL",
  assigned: "!ALREADY_FINAL",
  delivery_failed: "!ALREADY_FINAL",
  accepted: "!ALREADY_FINAL",
  started: "!ALREADY_FINAL",
  succeeded: "!ALREADY_FINAL",
  failed_retryable: "!ALREADY_FINAL",
  failed_final: "!ALREADY_FINAL",
  cancel_requested: "!ALREADY_FINAL",
  cancelled: "!ALREADY_FINAL",
  lost: "!ALREADY_FINAL",
  requeued: "!ALREADY_FINAL",
  attempts_exhausted: "!ALREADY_FINAL",
  dependency_failed: "!ALREADY_FINAL",
  unsatisfiable: "!ALREADY_FINAL",
  wait_timed_out: "!ALREADY_FINAL",
} as const;

export const TASK_TABLE: StateTable<TaskState, TaskEvent, TaskRejection> = {
  pending: {
    gate_held: "paused",
    no_room: "paused",
    reserved: "reserved",
    reservation_lost: "!NOT_THERE_YET",
    assigned: "!NOT_THERE_YET",
    delivery_failed: "!NOT_THERE_YET",
    accepted: "!NOT_THERE_YET",
    started: "!NOT_THERE_YET",
    succeeded: "!NOT_THERE_YET",
    failed_retryable: "!NOT_THERE_YET",
    failed_final: "!NOT_THERE_YET",
    cancel_requested: "cancelled",
    cancelled: "cancelled",
    lost: "!NOT_THERE_YET",
    requeued: "!NOT_THERE_YET",
    attempts_exhausted: "!NOT_THERE_YET",
    dependency_failed: "cancelled",
    unsatisfiable: "failed",
    wait_timed_out: "failed",
    retry_requested: "!NOT_FAILED",
  },
  paused: {
    // Still held, or held for another reason now.
    gate_held: "paused",
    no_room: "paused",
    reserved: "reserved",
    reservation_lost: "!SUPERSEDED",
    assigned: "!NOT_THERE_YET",
    delivery_failed: "!SUPERSEDED",
    accepted: "!SUPERSEDED",
    started: "!SUPERSEDED",
    succeeded: "!SUPERSEDED",
    failed_retryable: "!SUPERSEDED",
    failed_final: "!SUPERSEDED",
    cancel_requested: "cancelled",
    cancelled: "cancelled",
    lost: "!SUPERSEDED",
    requeued: "paused",
    attempts_exhausted: "!SUPERSEDED",
    dependency_failed: "cancelled",
    unsatisfiable: "failed",
    wait_timed_out: "failed",
    retry_requested: "!NOT_FAILED",
  },
  reserved: {
    gate_held: "!ALREADY_FURTHER",
    no_room: "!ALREADY_FURTHER",
    // The same claim again, or one that took over with a higher fence.
    reserved: "reserved",
    reservation_lost: "paused",
    assigned: "assigned",
    delivery_failed: "!NOT_THERE_YET",
    accepted: "!NOT_THERE_YET",
    started: "!NOT_THERE_YET",
    succeeded: "!NOT_THERE_YET",
    failed_retryable: "!NOT_THERE_YET",
    failed_final: "!NOT_THERE_YET",
    // Nothing was sent yet: the reservation is released, and that is all.
    cancel_requested: "cancelled",
    cancelled: "cancelled",
    lost: "!NOT_THERE_YET",
    requeued: "paused",
    attempts_exhausted: "!NOT_THERE_YET",
    dependency_failed: "cancelled",
    unsatisfiable: "!NOT_WAITING",
    wait_timed_out: "!NOT_WAITING",
    retry_requested: "!NOT_FAILED",
  },
  assigned: {
    gate_held: "!ALREADY_FURTHER",
    no_room: "!ALREADY_FURTHER",
    reserved: "!ALREADY_FURTHER",
    reservation_lost: "!ALREADY_FURTHER",
    assigned: "assigned",
    delivery_failed: "paused",
    accepted: "assigned",
    started: "running",
    // Short work may end before its start is heard of.
    succeeded: "succeeded",
    failed_retryable: "paused",
    failed_final: "failed",
    // The agent is told; `cancelled` follows when nothing runs any more.
    cancel_requested: "assigned",
    cancelled: "cancelled",
    lost: "lost",
    requeued: "!ALREADY_FURTHER",
    attempts_exhausted: "failed",
    dependency_failed: "!NOT_WAITING",
    unsatisfiable: "!NOT_WAITING",
    wait_timed_out: "!NOT_WAITING",
    retry_requested: "!NOT_FAILED",
  },
  running: {
    gate_held: "!ALREADY_FURTHER",
    no_room: "!ALREADY_FURTHER",
    reserved: "!ALREADY_FURTHER",
    reservation_lost: "!ALREADY_FURTHER",
    assigned: "!ALREADY_FURTHER",
    // It runs: whoever thought otherwise was wrong.
    delivery_failed: "!ALREADY_FURTHER",
    accepted: "running",
    started: "running",
    succeeded: "succeeded",
    failed_retryable: "paused",
    failed_final: "failed",
    cancel_requested: "running",
    cancelled: "cancelled",
    lost: "lost",
    requeued: "!ALREADY_FURTHER",
    attempts_exhausted: "failed",
    dependency_failed: "!NOT_WAITING",
    unsatisfiable: "!NOT_WAITING",
    wait_timed_out: "!NOT_WAITING",
    retry_requested: "!NOT_FAILED",
  },
  lost: {
    gate_held: "!SUPERSEDED",
    no_room: "!SUPERSEDED",
    // A new attempt is queued first: the pause row says why.
    reserved: "!SUPERSEDED",
    reservation_lost: "!SUPERSEDED",
    assigned: "!SUPERSEDED",
    delivery_failed: "!SUPERSEDED",
    accepted: "!SUPERSEDED",
    started: "!SUPERSEDED",
    succeeded: "!SUPERSEDED",
    failed_retryable: "!SUPERSEDED",
    failed_final: "!SUPERSEDED",
    cancel_requested: "cancelled",
    cancelled: "cancelled",
    lost: "lost",
    requeued: "paused",
    attempts_exhausted: "failed",
    dependency_failed: "!NOT_WAITING",
    unsatisfiable: "!NOT_WAITING",
    wait_timed_out: "!NOT_WAITING",
    retry_requested: "paused",
  },
  succeeded: { ...FINAL, retry_requested: "!NOT_FAILED" },
  failed: { ...FINAL, retry_requested: "pending" },
  cancelled: { ...FINAL, retry_requested: "pending" },
};

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
