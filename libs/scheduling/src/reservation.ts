/**
 * A reservation: room promised to one attempt, as a pure state machine. The registry loads the row, asks here, and
 * writes the answer under a guard.
 *
 * unconfirmed: leased, until a sample shows the attempt; confirmed: a sample has shown it; adopted: a sample showed an
 * attempt that nobody had reserved for; hold: leased room for a task that waits; released: a tombstone, holds nothing.
 */
import type { HeldRoom } from "./capacity.ts";
import type { EpochMs } from "./resources.ts";

export type ReservationState = "unconfirmed" | "confirmed" | "adopted" | "hold" | "released";

export interface Reservation extends HeldRoom {
  readonly agentId: string;
  readonly state: ReservationState;
  /** Grows with every claim of the attempt; what comes with a lower one changes nothing. */
  readonly fence: number;
  /** Canonical text of what was asked (`shapeKey`); null for an adopted attempt, whose needs nobody told us. */
  readonly shape: string | null;
  /** For `unconfirmed` and `hold`; null for the others, which no lease ends. */
  readonly leaseExpiresAtMs: EpochMs | null;
  /** For `released`. */
  readonly releasedAtMs: EpochMs | null;
}

/** Ended reservations are kept this long, so that late messages about them are known for what they are. */
export const TOMBSTONE_MS = 600_000;
/** Shortest lease of unconfirmed room. */
export const MIN_LEASE_MS = 30_000;

/** The lease of an unconfirmed reservation on an agent with this heartbeat interval. */
export function unconfirmedLeaseMs(heartbeatIntervalMs: number): number {
  return Math.max(MIN_LEASE_MS, 2 * heartbeatIntervalMs);
}

/** Whether it takes room away from others. */
export function holdsRoom(reservation: Reservation): boolean {
  return reservation.state !== "released";
}
