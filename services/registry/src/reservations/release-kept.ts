/** Gives back room that is kept for waiting tasks on agents that are to be empty by now. */
import { reservationStep } from "@headroom/scheduling";
import type { StoredReservation } from "../store/stored-agent.ts";
import { type Operation, stored } from "./operation.ts";

/**
 * On those of these agents whose drain's deadline has passed. Nothing runs in such room, and whoever keeps it may renew it for ever. What
 * is promised to an attempt is left alone, though nothing may run in it yet: its assignment is on its way, and its lease is not renewed
 * after that was answered. Answers what has ended.
 */
export function releaseKeptOperation(agentIds: readonly string[]): Operation<readonly StoredReservation[]> {
  return {
    name: "release kept",
    attemptIds: [],
    plan(draft) {
      const ended: StoredReservation[] = [];
      for (const agent of agentIds.flatMap((agentId) => draft.agent(agentId) ?? [])) {
        const { draining, drainDeadlineMs, reservations } = agent;
        if (!draining || drainDeadlineMs === null || draft.nowMs < drainDeadlineMs) continue;
        for (const known of reservations.held()) {
          if (known.state !== "hold") continue;
          const outcome = reservationStep(known, { type: "release", fence: known.fence }, draft.nowMs);
          if (outcome.kind !== "changed") continue;
          const reservation = stored(outcome.reservation, known, draft.nowMs);
          draft.put(reservation);
          ended.push(reservation);
        }
      }
      return ended;
    },
  };
}
