/** The life of one attempt at a task, from the assignment that records it to its end. */
import { step, type StateTable, type Step } from "./state-table.ts";

export type AttemptState =
  /** Recorded, on its way to the agent. */
  | "assigned"
  /** The agent has journalled it. */
  | "running"
  | "succeeded"
  | "failed"
  | "cancelled"
  /** Its work lease ended without a word. */
  | "lost"
  /** It never ran: not delivered, or refused by the agent. */
  | "undelivered";

export type AttemptEvent =
  | "accepted"
  | "started"
  | "succeeded"
  | "failed"
  | "cancelled"
  | "lost"
  | "delivery_failed"
  /** Given again with a higher fence by a replica that took over: it goes on, nothing is restarted. */
  | "adopted";

/** ALREADY_ENDED: a repeated message. SUPERSEDED: a result of an attempt that was given up; record it, do not count it. */
export type AttemptRejection = "ALREADY_ENDED" | "SUPERSEDED" | "ALREADY_ACCEPTED";

const ENDED = {
  accepted: "!ALREADY_ENDED",
  started: "!ALREADY_ENDED",
  succeeded: "!ALREADY_ENDED",
  failed: "!ALREADY_ENDED",
  cancelled: "!ALREADY_ENDED",
  lost: "!ALREADY_ENDED",
  delivery_failed: "!ALREADY_ENDED",
  adopted: "!ALREADY_ENDED",
} as const;

const GIVEN_UP = {
  accepted: "!SUPERSEDED",
  started: "!SUPERSEDED",
  succeeded: "!SUPERSEDED",
  failed: "!SUPERSEDED",
  cancelled: "!SUPERSEDED",
  lost: "!ALREADY_ENDED",
  delivery_failed: "!ALREADY_ENDED",
  adopted: "!SUPERSEDED",
} as const;

export const ATTEMPT_TABLE: StateTable<AttemptState, AttemptEvent, AttemptRejection> = {
  assigned: {
    accepted: "running",
    started: "running",
    // Short work may end before its start is heard of.
    succeeded: "succeeded",
    failed: "failed",
    cancelled: "cancelled",
    lost: "lost",
    delivery_failed: "undelivered",
    adopted: "assigned",
  },
  running: {
    accepted: "running",
    started: "running",
    succeeded: "succeeded",
    failed: "failed",
    cancelled: "cancelled",
    lost: "lost",
    delivery_failed: "!ALREADY_ACCEPTED",
    adopted: "running",
  },
  succeeded: ENDED,
  failed: ENDED,
  cancelled: ENDED,
  lost: GIVEN_UP,
  undelivered: GIVEN_UP,
};

export type AttemptStep = Step<AttemptState, AttemptRejection>;

export function attemptStep(state: AttemptState, event: AttemptEvent): AttemptStep {
  return step(ATTEMPT_TABLE, state, event);
}

export function isFinalAttemptState(state: AttemptState): boolean {
  return state !== "assigned" && state !== "running";
}
