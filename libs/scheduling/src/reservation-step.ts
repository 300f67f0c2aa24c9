/** The complete state × event table of a reservation. Every cell is written; there is no default. */
import type { Reservation, ReservationState } from "./reservation.ts";
import type {
  HoldEvent,
  OmittedEvent,
  ReleaseEvent,
  RenewEvent,
  ReservationEvent,
  ReservationOutcome,
  ReserveEvent,
  SampledEvent,
} from "./reservation-events.ts";
import * as rules from "./reservation-rules.ts";
import type { EpochMs } from "./resources.ts";

type Rule<E> = (reservation: Reservation, event: E, nowMs: EpochMs) => ReservationOutcome;

interface Row {
  readonly reserve: Rule<ReserveEvent>;
  readonly hold: Rule<HoldEvent>;
  readonly renew: Rule<RenewEvent>;
  readonly sampled: Rule<SampledEvent>;
  readonly omitted: Rule<OmittedEvent>;
  readonly release: Rule<ReleaseEvent>;
  readonly expire: Rule<{ readonly type: "expire" }>;
}

const TABLE: { readonly [S in ReservationState]: Row } = {
  unconfirmed: {
    reserve: rules.reserveAgain,
    hold: rules.holdAgain,
    renew: rules.renewLease,
    sampled: rules.confirm,
    // The assignment may still be on its way: only the lease ends it.
    omitted: rules.keep,
    release: rules.release,
    expire: rules.expireLease,
  },
  confirmed: {
    reserve: rules.reserveAgain,
    hold: rules.holdAgain,
    renew: rules.renewFence,
    sampled: rules.confirm,
    omitted: rules.endOmitted,
    release: rules.release,
    expire: rules.keep,
  },
  adopted: {
    reserve: rules.reserveAdopted,
    hold: rules.reserveAdopted,
    renew: rules.renewFence,
    sampled: rules.confirmAdopted,
    omitted: rules.endOmitted,
    release: rules.release,
    expire: rules.keep,
  },
  hold: {
    reserve: rules.useHold,
    hold: rules.holdAgain,
    renew: rules.renewLease,
    sampled: rules.confirm,
    omitted: rules.keep,
    release: rules.release,
    expire: rules.expireLease,
  },
  released: {
    reserve: rules.reserveEnded,
    hold: rules.reserveEnded,
    renew: rules.renewEnded,
    sampled: rules.adoptEnded,
    omitted: rules.keep,
    release: rules.releaseEnded,
    expire: rules.forget,
  },
};

/** Applies one event to a reservation, or to none. `nowMs` is the time of whoever arbitrates: the database. */
export function reservationStep(
  reservation: Reservation | null,
  event: ReservationEvent,
  nowMs: EpochMs,
): ReservationOutcome {
  if (reservation === null) return fromNothing(event, nowMs);
  const row = TABLE[reservation.state];
  switch (event.type) {
    case "reserve":
      return row.reserve(reservation, event, nowMs);
    case "hold":
      return row.hold(reservation, event, nowMs);
    case "renew":
      return row.renew(reservation, event, nowMs);
    case "sampled":
      return row.sampled(reservation, event, nowMs);
    case "omitted":
      return row.omitted(reservation, event, nowMs);
    case "release":
      return row.release(reservation, event, nowMs);
    case "expire":
      return row.expire(reservation, event, nowMs);
  }
}

function fromNothing(event: ReservationEvent, nowMs: EpochMs): ReservationOutcome {
  switch (event.type) {
    case "reserve":
      return rules.changed("reserved", rules.fresh(event, "unconfirmed", nowMs));
    case "hold":
      return rules.changed("held", rules.fresh(event, "hold", nowMs));
    case "sampled":
      return rules.changed("adopted", rules.adopted(event));
    case "renew":
      return rules.rejected("NOT_RESERVED", null);
    // Nothing is held, which is what these three want.
    case "release":
    case "omitted":
    case "expire":
      return { kind: "unchanged", reservation: null };
  }
}
