import type { Fleet } from "../fleet/fleet.ts";
import type { StoredReservation } from "../store/stored-agent.ts";

/** A promise as it was decided on, with the store's times where it has not changed again since. */
export function promiseAsStored(fleet: Pick<Fleet, "reservation">, promised: StoredReservation): StoredReservation {
  const current = fleet.reservation(promised.attemptId);
  const isSame =
    current?.fence === promised.fence && current.agentId === promised.agentId && current.state !== "released";
  return isSame ? current : promised;
}
