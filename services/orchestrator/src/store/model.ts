/** What the orchestrator keeps, in the units used inside. Times are epoch milliseconds by the database's clock. */
import type { AttemptOutcome, Command, OutputStream } from "@headroom/contracts";
import type {
  Amounts,
  AttemptState,
  EpochMs,
  Needs,
  PauseReason,
  PauseState,
  PlanStatus,
  TaskCounts,
  TaskState,
} from "@headroom/scheduling";

/** What to run; its environment never in logs. */
export type TaskCommand = Command;

/** A task as accepted, before anything happened to it. */
export interface NewTask {
  readonly taskId: string;
  readonly name: string;
  readonly position: number;
  readonly priority: number;
  readonly needs: Needs;
  readonly shapeKey: string;
  readonly command: TaskCommand;
  readonly resumeAfterMs: EpochMs | null;
  readonly dependsOnTaskIds: readonly string[];
  readonly maxAttempts: number;
  readonly retryOnFailure: boolean;
  /** A run of which nobody knows what became of it is not repeated unless a person asks for it. */
  readonly holdUnknown: boolean;
  readonly runTimeoutMs: number | null;
  /** Longest time it may wait for room, each time it waits; null: no limit. */
  readonly waitTimeoutMs: number | null;
  readonly workLeaseMs: number;
  /** As declared, else as learned. */
  readonly expectedDurationMs: number | null;
  /** Null: it is placed at once, claimed by the replica that accepts it. */
  readonly pause: NewPause | null;
}

/** Why a task goes into the queue. */
export interface NewPause {
  readonly reason: PauseReason;
  readonly sentence: string;
  /** Waits for a dependency or an operator, not for room. */
  readonly blocked: boolean;
}

export interface NewPlan {
  readonly planId: string;
  readonly name: string;
  readonly namespace: string;
  readonly priority: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly requestId: string | null;
  readonly requestHash: string;
  /** Ageing: what a point of priority is worth in time of waiting, ms. */
  readonly pointMs: number;
  readonly tasks: readonly NewTask[];
  readonly call: CallTrace;
}

/** The call that caused something, for the history. Empty texts where no call did, or it told nothing. */
export interface CallTrace {
  readonly requestId: string;
  readonly traceparent: string;
}

export const NO_CALL: CallTrace = { requestId: "", traceparent: "" };

/** Somebody keeps waiting work from starting. */
export interface HoldRecord {
  readonly reason: string;
  readonly heldBy: string;
  readonly heldAtMs: EpochMs;
}

/** Why and by whom something is held or let go, as given. */
export interface HoldRequest {
  readonly reason: string;
  readonly by: string;
  readonly call: CallTrace;
}

export type HoldPlanOutcome =
  | { readonly kind: "unknown" }
  | { readonly kind: "finished"; readonly status: PlanStatus }
  /** `takenBack`: of what had been given out and never sent; their tasks are among the held ones, and their room is to be given back. */
  | { readonly kind: "held"; readonly heldTasks: number; readonly takenBack: readonly TakenBack[] };

/** An attempt that certainly never reached its agent. */
export interface TakenBack extends FencedAttempt {
  readonly agentId: string;
  readonly applied: AppliedVerdict;
}

export type RetryOutcome =
  | { readonly kind: "unknown" }
  /** The request_id belongs to the retry of another plan. */
  | { readonly kind: "request_id_used"; readonly planId: string }
  | {
      readonly kind: "retried";
      readonly retriedTasks: number;
      readonly restoredTasks: number;
      readonly duplicate: boolean;
    };

export interface QueueEventRecord {
  readonly eventId: number;
  readonly atMs: EpochMs;
  readonly kind: "QUEUE_HELD" | "QUEUE_RELEASED";
  readonly reason: string;
  readonly by: string;
  readonly requestId: string;
}

export type AcceptOutcome =
  | { readonly kind: "accepted"; readonly claimed: readonly ClaimedTask[] }
  | { readonly kind: "request_id_used"; readonly planId: string; readonly samePlan: boolean }
  | { readonly kind: "task_ids_exist"; readonly taskIds: readonly string[] };

/** A task that this replica has the sole right to place, until its claim expires or a higher fence takes over. */
export interface ClaimedTask {
  readonly taskId: string;
  readonly planId: string;
  readonly taskName: string;
  /** `pending`: it has no row in the queue yet. */
  readonly state: "pending" | "paused";
  readonly needs: Needs;
  readonly shapeKey: string;
  readonly priority: number;
  /** Place in the queue, the lowest first. */
  readonly rank: number;
  readonly pausedAtMs: EpochMs;
  readonly expectedDurationMs: number | null;
  /** Stays the same when another replica takes the claim over. */
  readonly attemptId: string;
  /** An earlier claimer may have been promised room under this id; nobody knows. */
  readonly mayHoldRoom: boolean;
  readonly fence: number;
}

/** The first task of its shape that is due and waits for room. */
export interface QueueHead {
  readonly taskId: string;
  readonly planId: string;
  readonly taskName: string;
  readonly shapeKey: string;
  /** The lowest comes first. */
  readonly rank: number;
  readonly usesGpu: boolean;
  readonly needs: Needs;
  readonly expectedDurationMs: number | null;
  readonly waitedMs: number;
}

/** A claimed task for which the registry has promised room. */
export interface NewAssignment {
  readonly claimed: ClaimedTask;
  readonly agentId: string;
  readonly amounts: Amounts;
  readonly cardIndexes: readonly number[];
  /** Time left of the reservation. */
  readonly leaseLeftMs: number;
  /** This replica holds the agent's stream and sends it as soon as this is committed. */
  readonly sendsNow: boolean;
}

/** A claimed task that goes (back) to the queue. */
export interface NewPark {
  readonly claimed: ClaimedTask;
  readonly reason: PauseReason;
  readonly sentence: string;
  /** The registry may have promised room without our hearing of it: the next claim asks under the same id. */
  readonly attemptIdKept: boolean;
  /** It is not tried again before so long; absent: at its next turn. */
  readonly resumeAfterMs?: number;
}

/** Everything that an agent is told of an attempt. */
export interface AssignmentToSend {
  readonly attemptId: string;
  readonly fence: number;
  readonly taskId: string;
  readonly planId: string;
  readonly taskName: string;
  readonly agentId: string;
  readonly command: TaskCommand;
  readonly amounts: Amounts;
  readonly cardIndexes: readonly number[];
  readonly runTimeoutMs: number | null;
  readonly workLeaseMs: number;
  readonly acceptWithinMs: number;
  /** Somebody asked to cancel it while it was on its way. */
  readonly cancelRequested: boolean;
}

/** An attempt and the fence under which somebody holds it. */
export interface FencedAttempt {
  readonly attemptId: string;
  readonly fence: number;
}

/** An assignment that its agent refused. */
export interface UndeliveredAttempt extends FencedAttempt {
  /** When it had been sent last by then: sent again since, it is another answer that counts. Undefined: whenever that was. */
  readonly sentAtMs?: EpochMs | null;
}

/** Of whoever waits for a report to be written, and for longer than a plan is usually locked. */
export interface Patience {
  /** Somebody keeps its rows locked: it is written when that has ended, which may be minutes. */
  onLocked(): void;
  /** Aborted: nobody waits any more. */
  readonly signal: AbortSignal;
}

/** An attempt that ended or was taken back: its room is to be given back. */
export interface EndedAttempt extends FencedAttempt {
  readonly taskId: string;
  readonly planId: string;
  readonly agentId: string;
  readonly taskState: TaskState;
}

export interface MeasuredUse {
  readonly cpuSeconds: number;
  readonly memoryPeakMib: number;
  readonly gpuVramPeakMib: number;
  readonly wallTimeMs: number;
}

export interface AttemptResult extends FencedAttempt {
  readonly agentId: string;
  readonly outcome: AttemptOutcome;
  readonly exitCode: number | null;
  readonly signal: string;
  readonly sentence: string;
  readonly startedAtMs: EpochMs | null;
  readonly finishedAtMs: EpochMs | null;
  readonly used: MeasuredUse | null;
  /** Number of the last piece of its output, some of which may come after this; 0: it wrote none. */
  readonly lastOutputSeq: number;
}

/** What a decision about an attempt's end reads, all of one moment and locked. */
export interface AttemptSituation {
  readonly attemptState: AttemptState;
  readonly attemptFence: number;
  /** Another attempt of the task is in force by now. */
  readonly superseded: boolean;
  readonly taskState: TaskState;
  readonly taskName: string;
  readonly cancelRequested: boolean;
  readonly retryOnFailure: boolean;
  readonly holdUnknown: boolean;
  readonly maxAttempts: number;
  /** Runs that count against `maxAttempts`, this one included. */
  readonly runsUsed: number;
}

/** What becomes of an attempt and its task. */
export type AttemptVerdict =
  /** Told before; nothing changes. */
  | { readonly kind: "repeat" }
  /** It had been given up: recorded, not counted. */
  | { readonly kind: "refused"; readonly sentence: string }
  | {
      readonly kind: "final";
      readonly attemptState: AttemptState;
      readonly taskState: "succeeded" | "failed" | "cancelled";
      readonly eventKind: string;
      readonly sentence: string;
    }
  | {
      readonly kind: "requeue";
      readonly attemptState: AttemptState;
      readonly eventKind: string;
      readonly reason: PauseReason;
      readonly sentence: string;
      /** From now; null: at once. */
      readonly resumeAfterMs: number | null;
      /** Nothing ran: the attempt does not count against `maxAttempts`. */
      readonly runGivenBack: boolean;
    };

export type DecideAttempt = (situation: AttemptSituation) => AttemptVerdict;

/** What an applied verdict has changed. */
export interface AppliedVerdict {
  readonly verdict: AttemptVerdict;
  readonly planId: string;
  readonly taskId: string;
  /** Tasks that may start now, because what they depend on has succeeded. */
  readonly released: number;
}

export interface OutputChunk {
  readonly seq: number;
  readonly stream: OutputStream;
  readonly atMs: EpochMs;
  readonly data: Uint8Array;
}

/** An attempt as the store knows it, for an agent that names it. */
export interface AttemptKnown extends FencedAttempt {
  readonly taskId: string;
  readonly planId: string;
  readonly agentId: string;
  readonly state: AttemptState;
  readonly sent: boolean;
  readonly cancelRequested: boolean;
}

export interface PlanRecord {
  readonly planId: string;
  readonly name: string;
  readonly namespace: string;
  readonly priority: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAtMs: EpochMs;
  readonly finishedAtMs: EpochMs | null;
  readonly cancelRequested: boolean;
  readonly counts: TaskCounts;
  readonly hold: HoldRecord | null;
  readonly traceparent: string;
}

export interface TaskRecord {
  readonly taskId: string;
  readonly planId: string;
  readonly name: string;
  readonly position: number;
  readonly state: TaskState;
  readonly priority: number;
  readonly needs: Needs;
  readonly argv: readonly string[];
  readonly dependsOn: readonly string[];
  readonly maxAttempts: number;
  readonly holdUnknown: boolean;
  readonly createdAtMs: EpochMs;
  readonly finishedAtMs: EpochMs | null;
  readonly outcomeReason: string;
  readonly outcomeCode: string;
  readonly waitTimeoutMs: number | null;
  readonly expectedDurationMs: number | null;
  readonly cancelRequested: boolean;
  readonly pause: PauseRecord | null;
  /** The newest first. */
  readonly attempts: readonly AttemptRecord[];
}

export interface PauseRecord {
  readonly pauseQueueId: string;
  readonly reason: PauseReason;
  readonly sentence: string;
  readonly status: PauseState;
  readonly pausedAtMs: EpochMs;
  readonly resumeAfterMs: EpochMs | null;
  readonly lastCheckedMs: EpochMs | null;
  readonly waitDeadlineMs: EpochMs | null;
}

export interface AttemptRecord extends FencedAttempt {
  readonly agentId: string;
  readonly number: number;
  readonly state: AttemptState;
  readonly assignedAtMs: EpochMs;
  readonly startedAtMs: EpochMs | null;
  readonly finishedAtMs: EpochMs | null;
  readonly exitCode: number | null;
  readonly signal: string;
  readonly reason: string;
  readonly used: MeasuredUse | null;
  readonly reserved: Amounts;
  /** It has ended, and its agent told of more output than has come. */
  readonly awaitsOutput: boolean;
}

export interface PausedTaskRecord {
  readonly taskId: string;
  readonly planId: string;
  readonly taskName: string;
  readonly planName: string;
  readonly priority: number;
  readonly needs: Needs;
  readonly pause: PauseRecord;
}

export interface QueueSummary {
  readonly waiting: number;
  readonly reasons: readonly { readonly reason: PauseReason; readonly tasks: number }[];
  readonly oldestPausedAtMs: EpochMs | null;
  /** How long the oldest task that waits for room has had its turn; null when none waits for room. */
  readonly oldestTurnMs: number | null;
  readonly runningAttempts: number;
}

export interface EventRecord {
  readonly eventId: number;
  readonly atMs: EpochMs;
  readonly planId: string;
  readonly taskId: string | null;
  readonly taskName: string;
  readonly attemptId: string | null;
  readonly agentId: string | null;
  readonly kind: string;
  readonly fromState: TaskState | null;
  readonly toState: TaskState | null;
  readonly pauseReason: PauseReason | null;
  readonly sentence: string;
  readonly actor: string;
  readonly requestId: string;
  readonly traceparent: string;
}

/** Of one moment. */
export interface PlanEvents {
  readonly events: readonly EventRecord[];
  /** The plan's events up to this one have been deleted; 0: none. */
  readonly trimmedThrough: number;
}

export type Actor = "planner" | "operator" | "resume-loop" | "agent" | "orchestrator";
