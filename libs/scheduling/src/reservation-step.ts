/** The complete state × event table of a reservation. Every cell is written; there is no default. */
import { TOMBSTONE_MS, type Reservation, type ReservationState } from "./reservation.ts";
import type {
  HoldEvent,
  OmittedEvent,
  ReleaseEvent,
  RenewEvent,
  ReservationChange,
  ReservationEvent,
  ReservationOutcome,
  ReservationRejection,
  ReserveEvent,
  SampledEvent,
} from "./reservation-events.ts";
import type { EpochMs } from "./resources.ts";

type Rule<E> = (reservation: Reservation, event: E, nowMs: EpochMs) => ReservationOutcome;

interface Rules {
  readonly reserve: Rule<ReserveEvent>;
  readonly hold: Rule<HoldEvent>;
  readonly renew: Rule<RenewEvent>;
  readonly sampled: Rule<SampledEvent>;
  readonly omitted: Rule<OmittedEvent>;
  readonly release: Rule<ReleaseEvent>;
  readonly expire: Rule<{ readonly type: "expire" }>;
}

const RULES: { readonly [S in ReservationState]: Rules } = {
  unconfirmed: {
    reserve: reserveAgain,
    hold: holdAgain,
    renew: renewLease,
    sampled: confirm,
    // The assignment may still be on its way: only the lease ends it.
    omitted: keep,
    release,
    expire: expireLease,
  },
  confirmed: {
    reserve: reserveAgain,
    hold: holdAgain,
    renew: renewFence,
    sampled: confirm,
    omitted: endOmitted,
    release,
    expire: keep,
  },
  adopted: {
    reserve: reserveAdopted,
    hold: reserveAdopted,
    renew: renewFence,
    sampled: confirmAdopted,
    omitted: endOmitted,
    release,
    expire: keep,
  },
  hold: {
    reserve: useHold,
    hold: holdAgain,
    renew: renewLease,
    sampled: confirm,
    omitted: keep,
    release,
    expire: expireLease,
  },
  released: {
    reserve: reserveEnded,
    hold: reserveEnded,
    renew: renewEnded,
    sampled: adoptEnded,
    omitted: keep,
    release: releaseEnded,
    expire: forget,
  },
};

/** Applies one event to a reservation, or to none. `nowMs` is the time of whoever arbitrates: the database. */
export function reservationStep(
  reservation: Reservation | null,
  event: ReservationEvent,
  nowMs: EpochMs,
): ReservationOutcome {
  if (reservation === null) return fromNothing(event, nowMs);
  const rules = RULES[reservation.state];
  switch (event.type) {
    case "reserve":
      return rules.reserve(reservation, event, nowMs);
    case "hold":
      return rules.hold(reservation, event, nowMs);
    case "renew":
      return rules.renew(reservation, event, nowMs);
    case "sampled":
      return rules.sampled(reservation, event, nowMs);
    case "omitted":
      return rules.omitted(reservation, event, nowMs);
    case "release":
      return rules.release(reservation, event, nowMs);
    case "expire":
      return rules.expire(reservation, event, nowMs);
  }
}

function fromNothing(event: ReservationEvent, nowMs: EpochMs): ReservationOutcome {
  switch (event.type) {
    case "reserve":
      return changed("reserved", fresh(event, "unconfirmed", nowMs));
    case "hold":
      return changed("held", fresh(event, "hold", nowMs));
    case "sampled":
      return changed("adopted", adopted(event));
    case "renew":
      return rejected("NOT_RESERVED", null);
    // Nothing is held, which is what these three want.
    case "release":
    case "omitted":
    case "expire":
      return { kind: "unchanged", reservation: null };
  }
}

function reserveAgain(reservation: Reservation, event: ReserveEvent | HoldEvent, nowMs: EpochMs): ReservationOutcome {
  if (event.fence < reservation.fence) return rejected("STALE_FENCE", reservation);
  if (event.shape !== reservation.shape) return rejected("ALREADY_EXISTS", reservation);
  return takeOrRenew(reservation, event, nowMs);
}

/** A hold on top of a reservation asks for what is there already; on a hold it renews it. */
function holdAgain(reservation: Reservation, event: HoldEvent, nowMs: EpochMs): ReservationOutcome {
  return reserveAgain(reservation, event, nowMs);
}

/** The waiting task starts in the room that was kept for it. */
function useHold(reservation: Reservation, event: ReserveEvent, nowMs: EpochMs): ReservationOutcome {
  const outcome = reserveAgain(reservation, event, nowMs);
  if (outcome.kind === "rejected" || outcome.kind === "forgotten") return outcome;
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
function reserveAdopted(
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

function renewLease(reservation: Reservation, event: RenewEvent, nowMs: EpochMs): ReservationOutcome {
  return event.fence < reservation.fence
    ? rejected("STALE_FENCE", reservation)
    : takeOrRenew(reservation, event, nowMs);
}

/** No lease ends it, so there is none to renew; the fence may rise. */
function renewFence(reservation: Reservation, event: RenewEvent, nowMs: EpochMs): ReservationOutcome {
  if (event.fence === reservation.fence) return { kind: "unchanged", reservation };
  return renewLease(reservation, event, nowMs);
}

function confirm(reservation: Reservation, event: SampledEvent): ReservationOutcome {
  if (event.agentId !== reservation.agentId) return rejected("RESERVED_ELSEWHERE", reservation);
  const fence = Math.max(reservation.fence, event.fence);
  if (reservation.state === "confirmed" && fence === reservation.fence) return { kind: "unchanged", reservation };
  return changed("confirmed", { ...reservation, state: "confirmed", fence, leaseExpiresAtMs: null });
}

function confirmAdopted(reservation: Reservation, event: SampledEvent): ReservationOutcome {
  if (event.agentId !== reservation.agentId) return rejected("RESERVED_ELSEWHERE", reservation);
  if (event.fence <= reservation.fence) return { kind: "unchanged", reservation };
  return changed("adopted", { ...reservation, fence: event.fence });
}

function endOmitted(reservation: Reservation, _event: OmittedEvent, nowMs: EpochMs): ReservationOutcome {
  return changed("omitted", ended(reservation, reservation.fence, nowMs));
}

function release(reservation: Reservation, event: ReleaseEvent, nowMs: EpochMs): ReservationOutcome {
  if (event.fence < reservation.fence) return rejected("STALE_FENCE", reservation);
  return changed("released", ended(reservation, event.fence, nowMs));
}

function expireLease(reservation: Reservation, _event: unknown, nowMs: EpochMs): ReservationOutcome {
  const { leaseExpiresAtMs } = reservation;
  if (leaseExpiresAtMs !== null && nowMs < leaseExpiresAtMs) return { kind: "unchanged", reservation };
  return changed("expired", ended(reservation, reservation.fence, nowMs));
}

function reserveEnded(reservation: Reservation, event: ReserveEvent | HoldEvent, nowMs: EpochMs): ReservationOutcome {
  if (event.fence < reservation.fence) return rejected("STALE_FENCE", reservation);
  if (reservation.shape !== null && event.shape !== reservation.shape) return rejected("ALREADY_EXISTS", reservation);
  // A late copy of the request that was already served and ended must not take the room again.
  if (event.fence === reservation.fence) return rejected("RESERVATION_ENDED", reservation);
  return event.type === "hold"
    ? changed("held", fresh(event, "hold", nowMs))
    : changed("reserved", fresh(event, "unconfirmed", nowMs));
}

function renewEnded(reservation: Reservation, event: RenewEvent): ReservationOutcome {
  return rejected(event.fence < reservation.fence ? "STALE_FENCE" : "RESERVATION_ENDED", reservation);
}

/** It was released while its processes still lived: the room is not free, whatever anybody released. */
function adoptEnded(reservation: Reservation, event: SampledEvent): ReservationOutcome {
  const { shape, expectedEndAtMs } = reservation;
  const fence = Math.max(reservation.fence, event.fence);
  const isSameAgent = reservation.agentId === event.agentId;
  const reserved = isSameAgent ? reservation.reserved : event.used;
  return changed("adopted", { ...adopted(event), fence, shape, expectedEndAtMs, reserved });
}

function releaseEnded(reservation: Reservation, event: ReleaseEvent): ReservationOutcome {
  if (event.fence < reservation.fence) return rejected("STALE_FENCE", reservation);
  if (event.fence === reservation.fence) return { kind: "unchanged", reservation };
  return changed("released", { ...reservation, fence: event.fence });
}

function forget(reservation: Reservation, _event: unknown, nowMs: EpochMs): ReservationOutcome {
  const isOld = nowMs >= (reservation.releasedAtMs ?? nowMs) + TOMBSTONE_MS;
  return isOld ? { kind: "forgotten" } : { kind: "unchanged", reservation };
}

function keep(reservation: Reservation): ReservationOutcome {
  return { kind: "unchanged", reservation };
}

function fresh(
  event: ReserveEvent | HoldEvent,
  state: "unconfirmed" | "hold",
  nowMs: EpochMs,
): Reservation {
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

function adopted(event: SampledEvent): Reservation {
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

function changed(change: ReservationChange, reservation: Reservation): ReservationOutcome {
  return { kind: "changed", change, reservation };
}

function rejected(reason: ReservationRejection, reservation: Reservation | null): ReservationOutcome {
  return { kind: "rejected", reason, reservation };
}
