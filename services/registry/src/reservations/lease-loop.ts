/** What time does to reservations: leases run out, and tombstones are needed no more. */
import { jitter, type Logger, Outage, type Ports, RunLoop } from "@headroom/runtime";
import { TOMBSTONE_MS } from "@headroom/scheduling";
import type { RegistryStore } from "../store/registry-store.ts";
import type { ReservationDesk } from "./desk.ts";

const INTERVAL_MS = 1_000;
/** Where there was nothing to delete. */
const QUIET_MS = 60_000;
/** Tombstones are deleted in portions; so many portions in one run leave time for what waits. */
const MAX_PURGED = 1_000;
const MAX_PORTIONS = 20;

export interface LeaseLoopOptions {
  readonly desk: Pick<ReservationDesk, "isDue" | "tick">;
  readonly store: Pick<RegistryStore, "purgeTombstones">;
  readonly ports: Ports;
  readonly logger: Logger;
}

/** Ends leases that have run out, tries again what the store did not take, deletes old tombstones. */
export function createLeaseLoop({ desk, store, ports, logger }: LeaseLoopOptions): RunLoop {
  const outage = new Outage(logger, {
    fails: "promises whose leases have run out cannot be ended now; tried again every second",
    works: "leases are looked after again",
  });
  let purgeAtMs = ports.clock.monotonic() + INTERVAL_MS;
  return new RunLoop({
    name: "leases",
    ports,
    intervalMs: INTERVAL_MS,
    errorDelayMs: INTERVAL_MS,
    async run() {
      const { isDue } = desk;
      const nowMs = ports.clock.monotonic();
      if (isDue) await desk.tick();
      const isPurgeDue = nowMs >= purgeAtMs;
      if (isPurgeDue) {
        const { purged } = await purgeTombstones(store);
        purgeAtMs = nowMs + (purged > 0 ? INTERVAL_MS / 2 : jitter(ports.random, QUIET_MS, 0.2));
      }
      // A second in which there was nothing to do says nothing of the database.
      if (isDue || isPurgeDue) outage.worked();
    },
    onError: (error) => outage.failed(error),
  });
}

/** Deletes the tombstones that are due, at most as many as one run may. */
export async function purgeTombstones(
  store: Pick<RegistryStore, "purgeTombstones">,
): Promise<{ readonly purged: number; readonly areMoreDue: boolean }> {
  let purged = 0;
  for (let portion = 0; portion < MAX_PORTIONS; portion += 1) {
    const some = await store.purgeTombstones(TOMBSTONE_MS, MAX_PURGED);
    purged += some;
    if (some < MAX_PURGED) return { purged, areMoreDue: false };
  }
  return { purged, areMoreDue: true };
}
