/** What the store knows of an agent. The fleet in memory holds the same values. */
import type { AgentStatus, AgentType, EpochMs, Flapping, Needs, Reservation, Sample } from "@headroom/scheduling";
import type { ReservationBook } from "./reservation-book.ts";

/** Who an agent is: what its Hello says and no beat changes. */
export interface AgentIdentity {
  readonly agentId: string;
  readonly hostname: string;
  readonly agentType: AgentType;
  readonly poolName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly version: string;
  readonly platform: string;
}

/** A reservation with what only people and logs need. */
export interface StoredReservation extends Reservation {
  /** For explanations and for people; null when the attempt was adopted. */
  readonly needs: Needs | null;
  /** Empty when unknown. */
  readonly taskId: string;
  /** Empty when unknown. */
  readonly planId: string;
  readonly reservedAtMs: EpochMs;
}

/** One agent, all of one moment of the database. Times are the database's. */
export interface StoredAgent extends AgentIdentity {
  readonly cordoned: boolean;
  /** In the operator's words; empty when not cordoned or not stated. */
  readonly cordonReason: string;
  readonly draining: boolean;
  /** When what still runs there is to be stopped; null without a drain, and for one that waits without end. */
  readonly drainDeadlineMs: EpochMs | null;
  /** Of the last change of cordon and drain, or a later moment: of two, the larger is the newer. Microseconds. */
  readonly administeredAtUs: number;
  readonly firstSeenAtMs: EpochMs;
  readonly status: AgentStatus;
  /** For people, such as "no beat for 15 s". */
  readonly statusReason: string;
  readonly statusSinceMs: EpochMs;
  readonly flapping: Flapping;
  /** Number of the agent's newest session. A write that carries a lower one changes nothing. */
  readonly epoch: number;
  /** The start of the agent program that holds the session; null before its first Hello. */
  readonly incarnation: string | null;
  /** The registry process that holds the session; null when none does. */
  readonly replicaId: string | null;
  readonly lastBeatAtMs: EpochMs | null;
  readonly attached: boolean;
  readonly ownerHold: boolean;
  /** Null as long as it has sent no metrics. */
  readonly sample: Sample | null;
  /** Counts every change of `reservations`; a commit that expects another count changes nothing. */
  readonly guardVersion: number;
  /** Tombstones (state `released`) are among them. */
  readonly reservations: ReservationBook;
}
