/** What each event does to a reservation: the rules that the table in reservation-step.ts points at. */
import { TOMBSTONE_MS, type Reservation } from "./reservation.ts";
import type {
  HoldEvent,
  OmittedEvent,
  ReleaseEvent,
  RenewEvent,
  ReservationChange,
  ReservationOutcome,
  ReservationRejection,
  ReserveEvent,
  SampledEvent,
} from "./reservation-events.ts";
import type { EpochMs } from "./resources.ts";

export function reserveAgain(
  reservation: Reservation,
  event: ReserveEvent | HoldEvent,
  nowMs: EpochMs,
): ReservationOutcome {
  if (event.fence < reservation.fence) return rejected("STALE_FENCE", reservation);
  if (event.shape !== reservation.shape) return rejected("ALREADY_EXISTS", reservation);
  return takeOrRenew(reservation, event, nowMs);
}

/** A hold on top of a reservation asks for what is there already; on a hold it renews it. */
export function holdAgain(reservation: Reservation, event: HoldEvent, nowMs: EpochMs): ReservationOutcome {
  return reserveAgain(reservation, event, nowMs);
}

/** The waiting task starts in the room that was kept for it. */
export function useHold(reservation: Reservation, event: ReserveEvent, nowMs: EpochMs): ReservationOutcome {
  const outcome = reserveAgain(reservation, event, nowMs);
  if (outcome.kind !== "changed") return outcome;
  const { expectedEndAtMs, leaseMs, fence } = event;
  return changed("reserved", {
    ...reservation,
    state: "unconfirmed",
    fence,
    expectedEndAtMs,
    leaseExpiresAtMs: nowMs + leaseMs,
  });
}

/** Nobody knew its needs, so none can differ. It goes on where it runs, with the room it has. */
export function reserveAdopted(
  reservation: Reservation,
  event: ReserveEvent | HoldEvent,
  nowMs: EpochMs,
): ReservationOutcome {
  if (event.fence < reservation.fence) return rejected("STALE_FENCE", reservation);
  const { shape, expectedEndAtMs } = event;
  return takeOrRenew({ ...reservation, shape: reservation.shape ?? shape, expectedEndAtMs }, event, nowMs);
}

function takeOrRenew(
  reservation: Reservation,
  event: { readonly fence: number; readonly leaseMs: number },
  nowMs: EpochMs,
): ReservationOutcome {
  const change: ReservationChange = event.fence > reservation.fence ? "taken_over" : "renewed";
  return changed(change, {
    ...reservation,
    fence: event.fence,
    leaseExpiresAtMs: laterLease(reservation, nowMs + event.leaseMs),
  });
}

export function renewLease(reservation: Reservation, event: RenewEvent, nowMs: EpochMs): ReservationOutcome {
  return event.fence < reservation.fence
    ? rejected("STALE_FENCE", reservation)
    : takeOrRenew(reservation, event, nowMs);
}

/** No lease ends it, so there is none to renew; the fence may rise. */
export function renewFence(reservation: Reservation, event: RenewEvent, nowMs: EpochMs): ReservationOutcome {
  if (event.fence === reservation.fence) return { kind: "unchanged", reservation };
  return renewLease(reservation, event, nowMs);
}

export function confirm(reservation: Reservation, event: SampledEvent): ReservationOutcome {
  if (event.agentId !== reservation.agentId) return rejected("RESERVED_ELSEWHERE", reservation);
  const fence = Math.max(reservation.fence, event.fence);
  if (reservation.state === "confirmed" && fence === reservation.fence) return { kind: "unchanged", reservation };
  return changed("confirmed", { ...reservation, state: "confirmed", fence, leaseExpiresAtMs: null });
}

export function confirmAdopted(reservation: Reservation, event: SampledEvent): ReservationOutcome {
  if (event.agentId !== reservation.agentId) return rejected("RESERVED_ELSEWHERE", reservation);
  if (event.fence <= reservation.fence) return { kind: "unchanged", reservation };
  return changed("adopted", { ...reservation, fence: event.fence });
}

export function endOmitted(reservation: Reservation, _event: OmittedEvent, nowMs: EpochMs): ReservationOutcome {
  return changed("omitted", ended(reservation, reservation.fence, nowMs));
}

export function release(reservation: Reservation, event: ReleaseEvent, nowMs: EpochMs): ReservationOutcome {
  if (event.fence < reservation.fence) return rejected("STALE_FENCE", reservation);
  return changed("released", ended(reservation, event.fence, nowMs));
}

export function expireLease(reservation: Reservation, _event: unknown, nowMs: EpochMs): ReservationOutcome {
  const { leaseExpiresAtMs } = reservation;
  if (leaseExpiresAtMs !== null && nowMs < leaseExpiresAtMs) return { kind: "unchanged", reservation };
  return changed("expired", ended(reservation, reservation.fence, nowMs));
}

export function reserveEnded(
  reservation: Reservation,
  event: ReserveEvent | HoldEvent,
  nowMs: EpochMs,
): ReservationOutcome {
  if (event.fence < reservation.fence) return rejected("STALE_FENCE", reservation);
  if (reservation.shape !== null && event.shape !== reservation.shape) return rejected("ALREADY_EXISTS", reservation);
  // A late copy of the request that was already served and ended must not take the room again.
  if (event.fence === reservation.fence) return rejected("RESERVATION_ENDED", reservation);
  return event.type === "hold"
    ? changed("held", fresh(event, "hold", nowMs))
    : changed("reserved", fresh(event, "unconfirmed", nowMs));
}

export function renewEnded(reservation: Reservation, event: RenewEvent): ReservationOutcome {
  return rejected(event.fence < reservation.fence ? "STALE_FENCE" : "RESERVATION_ENDED", reservation);
}

/** It was released while its processes still lived: the room is not free, whatever anybody released. */
export function adoptEnded(reservation: Reservation, event: SampledEvent): ReservationOutcome {
  const { shape, expectedEndAtMs } = reservation;
  const fence = Math.max(reservation.fence, event.fence);
  const isSameAgent = reservation.agentId === event.agentId;
  const reserved = isSameAgent ? reservation.reserved : event.used;
  return changed("adopted", { ...adopted(event), fence, shape, expectedEndAtMs, reserved });
}

/** A tombstone that changes is as new as its change: processes that follow each other read the new ones only. */
export function releaseEnded(reservation: Reservation, event: ReleaseEvent, nowMs: EpochMs): ReservationOutcome {
  if (event.fence < reservation.fence) return rejected("STALE_FENCE", reservation);
  if (event.fence === reservation.fence) return { kind: "unchanged", reservation };
  return changed("released", ended(reservation, event.fence, nowMs));
}

export function forget(reservation: Reservation, _event: unknown, nowMs: EpochMs): ReservationOutcome {
  const isOld = nowMs >= (reservation.releasedAtMs ?? nowMs) + TOMBSTONE_MS;
  return isOld ? { kind: "forgotten" } : { kind: "unchanged", reservation };
}

export function keep(reservation: Reservation): ReservationOutcome {
  return { kind: "unchanged", reservation };
}

export function fresh(event: ReserveEvent | HoldEvent, state: "unconfirmed" | "hold", nowMs: EpochMs): Reservation {
  const { attemptId, agentId, fence, shape, reserved, expectedEndAtMs, leaseMs } = event;
  return {
    attemptId,
    agentId,
    state,
    fence,
    shape,
    reserved,
    expectedEndAtMs,
    leaseExpiresAtMs: nowMs + leaseMs,
    releasedAtMs: null,
  };
}

export function adopted(event: SampledEvent): Reservation {
  const { attemptId, agentId, fence, used } = event;
  return {
    attemptId,
    agentId,
    state: "adopted",
    fence,
    shape: null,
    reserved: used,
    expectedEndAtMs: null,
    leaseExpiresAtMs: null,
    releasedAtMs: null,
  };
}

function ended(reservation: Reservation, fence: number, nowMs: EpochMs): Reservation {
  return { ...reservation, state: "released", fence, leaseExpiresAtMs: null, releasedAtMs: nowMs };
}

/** A renewal never shortens a lease; confirmed and adopted room has none. */
function laterLease(reservation: Reservation, expiresAtMs: EpochMs): EpochMs | null {
  const isLeased = reservation.state === "unconfirmed" || reservation.state === "hold";
  return isLeased ? Math.max(reservation.leaseExpiresAtMs ?? 0, expiresAtMs) : null;
}

export function changed(change: ReservationChange, reservation: Reservation): ReservationOutcome {
  return { kind: "changed", change, reservation };
}

export function rejected(reason: ReservationRejection, reservation: Reservation | null): ReservationOutcome {
  return { kind: "rejected", reason, reservation };
}
