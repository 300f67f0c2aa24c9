/**
 * The store as a port. It arbitrates three things that memory only proposes: the epoch of an agent's session, the
 * guard of an agent's reservations, and the time. The service runs the same on PostgreSQL and on a simulated store:
 * both pass `registryStoreConformance`.
 *
 * Every method throws StoreUnavailableError when the store cannot be reached; the change may or may not have happened then.
 */
import type { AgentStatus, EpochMs, Flapping, Sample } from "@headroom/scheduling";
import type { EnrolmentScope, EnrolmentStore } from "./enrolment-store.ts";
import type { AgentIdentity, StoredAgent, StoredReservation } from "./stored-agent.ts";

/** The store is away; the cause is the driver's error. */
export class StoreUnavailableError extends Error {
  override readonly name = "StoreUnavailableError";
}

/** An answer with the store's own time at which it was true. */
export interface Timed {
  readonly nowMs: EpochMs;
}

export interface StoredAgents extends Timed {
  readonly agents: readonly StoredAgent[];
}

/** A Hello that is to become a session. */
export interface Admission {
  readonly identity: AgentIdentity;
  readonly incarnation: string;
  /** Counts the streams of the agent upwards, over its starts; 0: it does not count. */
  readonly session: number;
  readonly replicaId: string;
  readonly attached: boolean;
  readonly ownerHold: boolean;
  /** The credential that the agent has shown; null: it came with the token of this machine. */
  readonly credentialId: string | null;
}

/** A Hello that does not become a session. */
export type RefusedAdmission = { readonly agentId: string } & (
  | {
      /** `cloned`: another living registry process holds the agent as online under another incarnation. `credential_ended`: the
       * agent was removed, or has joined anew with another credential. `late`: a newer stream of the incarnation was admitted before.
       * `cloned` as well where that is of another incarnation, and not offline. */
      readonly why: "cloned" | "credential_ended" | "late";
    }
  | {
      /** The credential is not for this pool or type, but for these. */
      readonly why: "other_scope";
      readonly scope: EnrolmentScope;
    }
);

/** What beats said since the last write of this agent. */
export interface BeatWrite {
  readonly agentId: string;
  readonly epoch: number;
  /** How long ago the last beat was. */
  readonly silentMs: number;
  /** Null when no sample came since. */
  readonly sample: Sample | null;
}

export interface StatusWrite {
  /** The registry process that says so. */
  readonly replicaId: string;
  readonly agentId: string;
  readonly epoch: number;
  readonly status: AgentStatus;
  readonly statusReason: string;
  readonly statusSinceMs: EpochMs;
  readonly attached: boolean;
  readonly ownerHold: boolean;
  readonly flapping: Flapping;
}

/** One reservation as it is to stand in the store. */
export interface ReservationWrite {
  readonly reservation: StoredReservation;
  /** Lease from the store's now on; null: no lease ends it. Replaces `reservation.leaseExpiresAtMs`. */
  readonly leaseMs: number | null;
  /** The agent whose row it replaces; null: there must be none with this attempt id. */
  readonly previousAgentId: string | null;
  /** It ends with this write, or is a tombstone that changes: `releasedAtMs` becomes the store's now. */
  readonly endsNow: boolean;
  /** It begins with this write: `reservedAtMs` becomes the store's now. */
  readonly beginsNow: boolean;
}

/** Writes that hold only together and only if no guard has moved. */
export interface ReservationCommit {
  /** Every agent that a write takes from or gives to, with the guard version that the decision was based on. */
  readonly guards: readonly { readonly agentId: string; readonly version: number }[];
  readonly writes: readonly ReservationWrite[];
}

export type CommitResult =
  | ({
      readonly kind: "committed";
      /** The rows as written, with the store's times. Guards are one higher. */
      readonly reservations: readonly StoredReservation[];
    } & Timed)
  /** Nothing was written: these agents' guards have moved, or these attempts have rows nobody expected. */
  | { readonly kind: "conflict"; readonly agentIds: readonly string[]; readonly attemptIds: readonly string[] };

/** What a removal found: an agent that it has removed, one that was removed before, or nothing by which such an agent is known. */
export type RemovalOutcome = "removed" | "removed_before" | "not_offline" | "not_found";

export interface DueLeases extends Timed {
  readonly due: readonly { readonly attemptId: string; readonly agentId: string }[];
}

export interface ReplicaLease {
  readonly replicaId: string;
  readonly leaseExpiresAtMs: EpochMs;
}

export interface ReplicaLeases extends Timed {
  readonly replicas: readonly ReplicaLease[];
  /** When an operator last confirmed losses; null: never since this process started. */
  readonly lossesConfirmedAtMs: EpochMs | null;
}

/** A kind of task, and how often it came. */
export interface KeptShape {
  readonly cpuMillicores: number;
  readonly gpuCount: number;
  /** On each of the cards. */
  readonly gpuVramMib: number;
  readonly gpuExclusive: boolean;
  /** In order and in lower case; none: any. */
  readonly gpuModels: readonly string[];
  /** Decayed: see TaskMix. */
  readonly arrivals: number;
}

/** What all registry processes have learned of the tasks that come. */
export interface KeptMix {
  /** The most frequent first. */
  readonly shapes: readonly KeptShape[];
  /** Not decayed. */
  readonly arrivals: number;
  /** Since when they are counted. */
  readonly sinceMs: EpochMs;
}

export interface RegistryStore extends EnrolmentStore {
  /** Resolves when the store answers. */
  ping(): Promise<Timed>;

  /** All agents that are not removed; of their tombstones only those that came or changed at or after this moment, null: all. */
  loadFleet(tombstonesSinceMs: EpochMs | null): Promise<StoredAgents>;
  /** Those of them that exist and are not removed. */
  loadAgents(agentIds: readonly string[]): Promise<StoredAgents>;
  /** Agents of which anything changed at or after this moment, with the tombstones that did; and which agents were removed since. */
  loadChangedSince(sinceMs: EpochMs): Promise<StoredAgents & { readonly removedAgentIds: readonly string[] }>;
  /** On which agents the rows of these attempts are, tombstones included. */
  findReservations(attemptIds: readonly string[]): Promise<ReadonlyMap<string, string>>;

  /**
   * Registers agents, or brings removed ones back, and opens a session for each with an epoch above all before. At most
   * one admission per agent in one call. Answers the agents as they are then, in any order, and which were not admitted.
   */
  admit(admissions: readonly Admission[]): Promise<StoredAgents & { readonly refused: readonly RefusedAdmission[] }>;
  /** Writes samples and the times of last beats. A write of an older epoch changes nothing. Never touches a guard. */
  writeBeats(beats: readonly BeatWrite[]): Promise<Timed>;
  /** Writes states of liveness. A write of an older epoch changes nothing, nor one about an agent that another living process holds. */
  writeStatuses(statuses: readonly StatusWrite[]): Promise<Timed>;

  /** All writes or none, atomically with the guards. */
  commitReservations(commit: ReservationCommit): Promise<CommitResult>;
  /** Reservations whose lease has run out by the store's clock, at most `limit`. */
  findDueLeases(limit: number): Promise<DueLeases>;
  /** Deletes tombstones older than this, at most `limit`; answers how many. */
  purgeTombstones(olderThanMs: number, limit: number): Promise<number>;

  /** Uncordoning ends a drain as well. Answers null for an agent that does not exist. */
  setCordon(agentId: string, cordoned: boolean, reason: string): Promise<StoredAgent | null>;
  /**
   * Cordons an agent for it to be emptied; `deadlineMs` counts from the store's now, null: no deadline. It moves the guard,
   * so that no reservation that was decided on before is committed afterwards. Answers null for an agent that does not exist.
   */
  startDrain(agentId: string, deadlineMs: number | null, reason: string): Promise<StoredAgent | null>;
  /**
   * Ends the drains of those of these agents on which nothing holds room: they stay cordoned. Answers all of these agents that
   * exist, as they are then: of a drain that was ended before the answer may have been lost.
   */
  endDrains(agentIds: readonly string[]): Promise<StoredAgents>;
  /**
   * Forgets an agent that is OFFLINE, its reservations and its credential, which lets nobody in from then on. One that has
   * enrolled and never said Hello has a credential only: once that is removed it is as if it had never been.
   */
  removeAgent(agentId: string): Promise<RemovalOutcome>;

  /** Says that this registry process lives, and answers which ones have said so. */
  renewReplica(replicaId: string, leaseMs: number): Promise<ReplicaLeases>;
  /** An operator says that agents which are kept from going offline are gone; every living process learns of it when it renews. */
  confirmLosses(): Promise<Timed>;
  /** This registry process ends. */
  retireReplica(replicaId: string): Promise<void>;

  /** Adds these arrivals to what all processes have kept, and answers the sum. Each shape at most once; none at all only reads. */
  addToTaskMix(fresh: readonly KeptShape[]): Promise<KeptMix>;

  /** Gives connections back. Idempotent. */
  close(): Promise<void>;
}
