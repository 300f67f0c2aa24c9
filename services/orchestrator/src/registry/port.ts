import type {
  AgentCapacityFigures,
  ReleaseOutcome,
  RenewOutcome,
  ReserveOutcome,
  ReserveRequest,
  wire,
} from "@headroom/contracts";
import type { Needs } from "@headroom/scheduling";
import type { FencedAttempt } from "../store/model.ts";

/** A point in the fleet's history, as one registry process counts. Another instance counts as newer. */
export interface FleetRevision {
  readonly instance: string;
  readonly counter: number;
}

/** What the registry tells of the fleet. */
export interface FleetChange {
  readonly revision: FleetRevision;
  /** `agents` is the whole fleet. */
  readonly snapshot: boolean;
  readonly agents: readonly AgentCapacityFigures[];
  readonly removedAgentIds: readonly string[];
  readonly roomAppeared: boolean;
}

/** What the registry says to a batch of requests, and the state of the fleet that it decided on. */
export interface ReserveAnswer {
  /** In the order of the requests. */
  readonly outcomes: readonly ReserveOutcome[];
  readonly revision: FleetRevision;
}

export interface RenewResult {
  readonly attemptId: string;
  readonly outcome: RenewOutcome;
  readonly leaseLeftMs: number | null;
}

/** Why needs fit or not, and in how long there is room for them, the queue not counted; null: unknown. */
export interface CapacityAnswer {
  readonly explanation: wire.CapacityExplanation;
  readonly roomInMs: number | null;
  /** The agent on which that is; null: unknown. */
  readonly roomOnAgentId: string | null;
}

/** Where is room: the registry, as the orchestrator needs it. Failures are HeadroomErrors; UNAVAILABLE when it is away. */
export interface RegistryPort {
  /** One outcome for each request, in the same order. At most 1000. */
  reserve(
    requests: readonly ReserveRequest[],
    options?: {
      /** Only say what would be promised: nothing is kept. */
      readonly dryRun?: boolean;
    },
  ): Promise<ReserveAnswer>;
  renew(attempts: readonly FencedAttempt[]): Promise<readonly RenewResult[]>;
  release(attempts: readonly FencedAttempt[], reason: string): Promise<readonly ReleaseOutcome[]>;
  /** Passed on to whoever asks why a task waits. */
  explain(needs: Needs, maxAgents: number): Promise<CapacityAnswer>;
  /** The agents that have room at this moment: a whole core free at least. */
  withRoom(): Promise<readonly AgentCapacityFigures[]>;
  /** The whole fleet first, then what changes. Ends or throws when the connection does. */
  watch(signal: AbortSignal): AsyncIterable<FleetChange>;
}
