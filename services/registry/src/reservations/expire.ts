/** Ends reservations whose lease the store has found to have run out. */
import { reservationStep } from "@headroom/scheduling";
import type { StoredReservation } from "../store/stored-agent.ts";
import type { Draft } from "./draft.ts";
import { stored } from "./operation.ts";

/** `nowMs` is the store's time at which it found them due. */
export function expire(draft: Draft, attemptIds: readonly string[], nowMs: number): readonly StoredReservation[] {
  const ended: StoredReservation[] = [];
  for (const attemptId of attemptIds) {
    const known = draft.reservation(attemptId);
    if (known === undefined) continue;
    const outcome = reservationStep(known, { type: "expire" }, nowMs);
    if (outcome.kind !== "changed") continue;
    const reservation = stored(outcome.reservation, known, draft.nowMs);
    draft.put(reservation);
    ended.push(reservation);
  }
  return ended;
}
