/** One thing that somebody wants to do with reservations. */
import type { Reservation } from "@headroom/scheduling";
import type { StoredReservation } from "../store/stored-agent.ts";
import type { Draft } from "./draft.ts";

export interface Operation<Result> {
  /** For logs. */
  readonly name: string;
  /** Attempts that must be looked up in the store when memory does not know them (another replica may have made them). */
  readonly attemptIds: readonly string[];
  /**
   * Decides on the draft and changes it. It is called again on a newer draft when the commit meets a conflict, so it must
   * do nothing else. What it throws is the answer of this operation alone, and its changes are dropped.
   */
  plan(draft: Draft): Result;
}

/** What people and logs need of a reservation, beside what the state machine carries. */
export interface ReservationNotes {
  readonly needs: StoredReservation["needs"];
  readonly taskId: string;
  readonly planId: string;
}

const NO_NOTES: ReservationNotes = { needs: null, taskId: "", planId: "" };

/** The state machine's answer as it is stored. What is newly said wins over what was known. */
export function stored(
  next: Reservation,
  previous: StoredReservation | undefined,
  nowMs: number,
  notes: ReservationNotes = previous ?? NO_NOTES,
): StoredReservation {
  const { needs, taskId, planId } = notes;
  return { ...next, needs, taskId, planId, reservedAtMs: previous?.reservedAtMs ?? nowMs };
}
