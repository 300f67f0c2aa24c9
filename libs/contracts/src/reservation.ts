/** Promises of room: asked for, given, refused. */
import type { Amounts, EpochMs, Needs, Reservation, ReservationState } from "@headroom/scheduling";
import { amountsFromWire, amountsToWire } from "./amounts.ts";
import { reservationKindWire, reservationStateWire, type ReservationKind } from "./enums.ts";
import { explanationFromWire, type ToldExplanation } from "./explanation.ts";
import { invalid, ok, type FromWire } from "./from-wire.ts";
import {
  Reservation as WireReservation,
  type Reserve,
  type ReserveResult,
} from "./gen/headroom/registry/v1/capacity_service.ts";
import { needsFromWire } from "./needs.ts";
import { durationFromMsOrNull, msFromDuration, msFromTimestamp, timestampFromMsOrNull } from "./time.ts";

/** One promise asked for. */
export interface ReserveRequest {
  readonly attemptId: string;
  readonly fence: number;
  readonly needs: Needs;
  readonly avoidAgentIds: ReadonlySet<string>;
  readonly kind: ReservationKind;
  /** Null: unknown. */
  readonly expectedDurationMs: number | null;
  /** For logs; may be empty. */
  readonly taskId: string;
  readonly planId: string;
  /** Requests of one group are given room together or not at all; empty or left out: it stands alone. */
  readonly group?: string;
}

export function reserveFromWire(reserve: Reserve, path = "reservation"): FromWire<ReserveRequest> {
  const kind = reservationKindWire.fromWire(reserve.kind, `${path}.kind`);
  if (kind.kind === "invalid") return kind;
  return ok({
    attemptId: reserve.attemptId.toLowerCase(),
    fence: reserve.fence,
    needs: needsFromWire(reserve.needs),
    avoidAgentIds: new Set(reserve.avoidAgentIds.map((agentId) => agentId.toLowerCase())),
    kind: kind.value,
    expectedDurationMs: msFromDuration(reserve.expectedDuration),
    taskId: reserve.taskId,
    planId: reserve.planId,
    group: reserve.group,
  });
}

/** When a promise was given and when the answer is written, both by the database's clock. */
export interface ReservationTimes {
  readonly nowMs: EpochMs;
  readonly reservedAtMs: EpochMs | null;
}

export function reservationToWire(reservation: Reservation, times: ReservationTimes): WireReservation {
  const { leaseExpiresAtMs } = reservation;
  const leaseLeftMs = leaseExpiresAtMs === null ? null : Math.max(0, leaseExpiresAtMs - times.nowMs);
  return WireReservation.fromPartial({
    attemptId: reservation.attemptId,
    agentId: reservation.agentId,
    fence: reservation.fence,
    amounts: amountsToWire(reservation.reserved),
    state: reservationStateWire.toWire(reservation.state),
    leaseLeft: durationFromMsOrNull(leaseLeftMs),
    reservedAt: timestampFromMsOrNull(times.reservedAtMs),
  });
}

/** A promise as a reader of the registry knows it. */
export interface ToldReservation {
  readonly attemptId: string;
  readonly agentId: string;
  readonly fence: number;
  readonly amounts: Amounts;
  readonly state: ReservationState;
  /** When the answer was written; null: no lease ends it. */
  readonly leaseLeftMs: number | null;
  readonly reservedAtMs: EpochMs | null;
}

export function reservationFromWire(reservation: WireReservation, path = "reservation"): FromWire<ToldReservation> {
  const state = reservationStateWire.fromWire(reservation.state, `${path}.state`);
  if (state.kind === "invalid") return state;
  return ok({
    attemptId: reservation.attemptId,
    agentId: reservation.agentId,
    fence: reservation.fence,
    amounts: amountsFromWire(reservation.amounts),
    state: state.value,
    leaseLeftMs: msFromDuration(reservation.leaseLeft),
    reservedAtMs: msFromTimestamp(reservation.reservedAt),
  });
}

/** What became of one promise asked for. */
export type ReserveOutcome =
  | { readonly kind: "reserved"; readonly attemptId: string; readonly reservation: ToldReservation }
  | { readonly kind: "no_room"; readonly attemptId: string; readonly explanation: ToldExplanation }
  | { readonly kind: "stale_fence"; readonly attemptId: string; readonly currentFence: number }
  | { readonly kind: "conflict"; readonly attemptId: string; readonly released: boolean; readonly sentence: string };

export function reserveResultFromWire(result: ReserveResult, path = "result"): FromWire<ReserveOutcome> {
  const { attemptId, outcome } = result;
  if (outcome === undefined) return invalid(path, "says nothing of what became of it");
  switch (outcome.$case) {
    case "reserved": {
      const reservation = reservationFromWire(outcome.value, `${path}.reserved`);
      return reservation.kind === "invalid"
        ? reservation
        : ok({ kind: "reserved", attemptId, reservation: reservation.value });
    }
    case "noRoom": {
      const explanation = explanationFromWire(outcome.value, `${path}.no_room`);
      return explanation.kind === "invalid"
        ? explanation
        : ok({ kind: "no_room", attemptId, explanation: explanation.value });
    }
    case "staleFence":
      return ok({ kind: "stale_fence", attemptId, currentFence: outcome.value.currentFence });
    case "conflict":
      return ok({
        kind: "conflict",
        attemptId,
        released: outcome.value.released,
        sentence: outcome.value.sentence,
      });
  }
}
