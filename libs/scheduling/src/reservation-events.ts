/** What can happen to a reservation, and what can come of it. */
import type { Reservation } from "./reservation.ts";
import type { Amounts, EpochMs } from "./resources.ts";

export interface ReserveEvent {
  readonly type: "reserve";
  readonly attemptId: string;
  readonly agentId: string;
  readonly fence: number;
  readonly shape: string;
  readonly reserved: Amounts;
  readonly expectedEndAtMs: EpochMs | null;
  readonly leaseMs: number;
}

/** Like `reserve`, for a task that waits: the room is kept, and nothing is expected to run in it yet. */
export interface HoldEvent extends Omit<ReserveEvent, "type"> {
  readonly type: "hold";
}

export interface RenewEvent {
  readonly type: "renew";
  readonly fence: number;
  readonly leaseMs: number;
}

/** An agent's sample lists the attempt. */
export interface SampledEvent {
  readonly type: "sampled";
  readonly attemptId: string;
  readonly agentId: string;
  readonly fence: number;
  readonly used: Amounts;
}

/** A Hello's or a Beat's complete list, from the agent that holds it, does not name the attempt. */
export interface OmittedEvent {
  readonly type: "omitted";
  readonly by: "hello" | "beat";
}

export interface ReleaseEvent {
  readonly type: "release";
  readonly fence: number;
}

/** Time has passed: a lease may have run out, or a tombstone grown old enough. */
export interface ExpireEvent {
  readonly type: "expire";
}

export type ReservationEvent =
  | ReserveEvent
  | HoldEvent
  | RenewEvent
  | SampledEvent
  | OmittedEvent
  | ReleaseEvent
  | ExpireEvent;

export type ReservationChange =
  | "reserved"
  | "held"
  | "renewed"
  /** A caller with a higher fence has it now. */
  | "taken_over"
  | "confirmed"
  | "adopted"
  | "released"
  | "omitted"
  | "expired";

export type ReservationRejection =
  /** A newer claim of the attempt exists. */
  | "STALE_FENCE"
  /** The same attempt id was reserved with other needs, or on another agent. */
  | "ALREADY_EXISTS"
  /** It was reserved under this fence and has ended; only a new claim (a higher fence) may reserve again. */
  | "RESERVATION_ENDED"
  | "NOT_RESERVED"
  /** A sample lists an attempt whose room is reserved on another agent: charge it where it runs, too. */
  | "RESERVED_ELSEWHERE";

export type ReservationOutcome =
  | { readonly kind: "changed"; readonly change: ReservationChange; readonly reservation: Reservation }
  | { readonly kind: "unchanged"; readonly reservation: Reservation | null }
  /** The tombstone may be deleted. */
  | { readonly kind: "forgotten" }
  | {
      readonly kind: "rejected";
      readonly reason: ReservationRejection;
      readonly reservation: Reservation | null;
    };
