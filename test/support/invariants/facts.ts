/** What is known of a system's whole history, whatever it was read from: PostgreSQL, agents' journals, or a simulation's memory. */
import type {
  Amounts,
  AttemptState,
  EpochMs,
  Needs,
  PauseState,
  ReservationState,
  TaskState,
} from "@headroom/scheduling";

export interface PlanFact {
  readonly planId: string;
  readonly name: string;
  readonly totalTasks: number;
  readonly unfinishedTasks: number;
  /** Null: it has not ended. */
  readonly outcome: string | null;
  /** Its events up to this one were deleted by retention; absent or 0: none. */
  readonly trimmedThrough?: number;
}

export interface TaskFact {
  readonly taskId: string;
  readonly planId: string;
  readonly name: string;
  readonly state: TaskState;
  readonly priority: number;
  /** Its place in the order of the queue, the lowest first. */
  readonly rank: number;
  readonly createdAtMs: EpochMs;
  readonly needs: Needs;
  readonly fence: number;
  /** The attempt in force; null before the first. */
  readonly attemptId: string | null;
  readonly maxAttempts: number;
  /** What its command did itself is tried again too. */
  readonly retryOnFailure: boolean;
  /** A run of which nobody knows what became of it is not repeated. */
  readonly holdUnknown: boolean;
  /** The longest that it may wait for room; null: no limit. */
  readonly waitTimeoutMs: number | null;
  /** Ids of the tasks that must have succeeded before. */
  readonly dependsOn: readonly string[];
}

export interface AttemptFact {
  readonly attemptId: string;
  readonly taskId: string;
  readonly agentId: string;
  /** Counts the attempts of a task from 1. */
  readonly number: number;
  readonly fence: number;
  readonly state: AttemptState;
  /** Why it ended as it did, as "EXITED" or "EVICTED"; empty while it has not. */
  readonly reason: string;
}

export interface PauseFact {
  readonly pauseQueueId: string;
  readonly taskId: string;
  readonly status: PauseState;
}

/** One row of the history that people read. */
export interface EventFact {
  readonly eventId: number;
  readonly planId: string;
  readonly taskId: string | null;
  readonly attemptId: string | null;
  readonly kind: string;
  readonly from: string | null;
  readonly to: string | null;
}

/** A row as one commit left it. `commit` tells changes that became visible together. */
interface Recorded {
  readonly seq: number;
  readonly commit: string;
  readonly atMs: EpochMs;
}

export interface TaskChange extends Recorded {
  readonly row: "task";
  readonly taskId: string;
  readonly state: TaskState;
  readonly fence: number;
  /** The id of the attempt for which room is asked; null or absent: none. */
  readonly placingAttemptId?: string | null;
}

export interface AttemptChange extends Recorded {
  readonly row: "attempt";
  readonly attemptId: string;
  readonly taskId: string;
  readonly state: AttemptState;
  readonly fence: number;
}

export interface PauseChange extends Recorded {
  readonly row: "pause";
  readonly pauseQueueId: string;
  readonly taskId: string;
  readonly status: PauseState;
  readonly pausedAtMs: EpochMs;
  readonly resumeAfterMs: EpochMs | null;
  /** Waits for something else than room. */
  readonly blocked: boolean;
}

export interface ReservationChange extends Recorded {
  readonly row: "reservation";
  readonly attemptId: string;
  readonly agentId: string;
  /** "gone": the row was deleted. */
  readonly state: ReservationState | "gone";
  readonly fence: number;
  readonly amounts: Amounts;
  /** Null or absent: no lease ends it. */
  readonly leaseExpiresAtMs?: EpochMs | null;
}

export interface AgentChange extends Recorded {
  readonly row: "agent";
  readonly agentId: string;
  /** Online, attached, and neither held, cordoned, draining nor on probation. */
  readonly usable: boolean;
  /** What of that it is not, as "not online" or "draining". */
  readonly unusableFor: readonly string[];
  /** Of its liveness; null where the change is of something else. */
  readonly status: string | null;
}

/** Whether an operator holds the whole queue. */
export interface QueueChange extends Recorded {
  readonly row: "queue";
  readonly held: boolean;
}

/** An event that was changed, or deleted: that they are written is what `EventFact`s tell. */
export interface HistoryChange extends Recorded {
  readonly row: "event";
  readonly eventId: number;
  readonly planId: string;
  readonly gone: boolean;
}

export type Change =
  | TaskChange
  | AttemptChange
  | PauseChange
  | ReservationChange
  | AgentChange
  | QueueChange
  | HistoryChange;

/** What a machine has for Headroom. */
export interface MachineFact {
  readonly agentId: string;
  readonly cpuMillicores: number;
  readonly memoryMib: number;
  readonly cards: readonly { readonly cardId: string; readonly vramMib: number }[];
  readonly labels: Readonly<Record<string, string>>;
}

/** What one agent's journal says of one attempt. */
export interface RunFact {
  readonly agentId: string;
  readonly attemptId: string;
  readonly taskId: string;
  /** Every fence it was taken, or taken over, under. */
  readonly fences: readonly number[];
  readonly reserved: Amounts;
  /** One for each process that was started. */
  readonly starts: readonly { readonly process: string; readonly atMs: EpochMs }[];
  /** Null: it has not ended, or nobody knows. */
  readonly end: {
    readonly atMs: EpochMs;
    readonly outcome: string;
    readonly exitCode: number | null;
    readonly fence: number;
  } | null;
  /** Its agent was told that the result is durable, or refused for good, and has forgotten it. */
  readonly isAcked: boolean;
}

/** A plan that its caller was told to be accepted. */
export interface AcceptedFact {
  readonly planId: string;
  readonly tasks: number;
  /** Where a caller gives each plan a name of its own: there is one plan of that name, however often it was asked for. */
  readonly name?: string | undefined;
  /** Nothing that happens to machines and services makes it fail: its commands end with 0, and nobody cancels it. */
  readonly mustSucceed?: boolean;
}

export interface Facts {
  readonly plans: readonly PlanFact[];
  readonly tasks: readonly TaskFact[];
  readonly attempts: readonly AttemptFact[];
  readonly pauses: readonly PauseFact[];
  /** In the order of their ids. */
  readonly events: readonly EventFact[];
  /** In the order of their numbers; of one row, and of one agent's reservations, that is the order of the commits. */
  readonly changes: readonly Change[];
  readonly machines: readonly MachineFact[];
  readonly runs: readonly RunFact[];
  readonly accepted: readonly AcceptedFact[];
  /** Whether everything was given the time to end; else it is no fault that something has not. */
  readonly isOver: boolean;
  /** Times in which nobody could have placed anything: all orchestrators down, the database away. */
  readonly outages: readonly { readonly fromMs: EpochMs; readonly toMs: EpochMs }[];
  /**
   * Times in which a registry process promises room by other than what is written. Just after it stood still: it has been deaf as well, does
   * not hold that against its agents (DESIGN 4), and may promise room on one that is gone; what is promised so is not delivered, and comes
   * back. And while what it knows of its agents cannot be written.
   */
  readonly stalls?: readonly { readonly fromMs: EpochMs; readonly toMs: EpochMs }[];
  /** Times in which an orchestrator may not hear a registry, and believes what that told last. */
  readonly silences?: readonly { readonly fromMs: EpochMs; readonly toMs: EpochMs }[];
  /** PAUSE_CAPACITY_THRESHOLD_PERCENT as a fraction; default 0: nothing is ever below it. */
  readonly threshold?: number;
  readonly untilMs: EpochMs;
}

export interface Violation {
  /** Number in docs/invariants.md. */
  readonly invariant: Invariant;
  readonly what: string;
}

export type Invariant =
  | "V1"
  | "V2"
  | "V3"
  | "V4"
  | "V5"
  | "V6"
  | "V7"
  | "V8"
  | "V9"
  | "V10"
  | "V11"
  | "V12"
  | "V13"
  | "V14"
  | "V15"
  | "V16"
  | "V17"
  | "V18"
  | "V19"
  | "V20"
  | "V21"
  | "V22"
  | "V23"
  | "V24"
  | "V25"
  | "V26"
  | "V27"
  | "V28"
  | "V29"
  | "V30"
  | "V31"
  | "V32";
