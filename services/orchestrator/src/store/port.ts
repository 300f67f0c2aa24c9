import type { EpochMs, Needs, PauseReason, PlanStatus, TaskState, RoomHold } from "@headroom/scheduling";
import type {
  AcceptOutcome,
  Actor,
  AppliedVerdict,
  AssignmentToSend,
  AttemptKnown,
  AttemptRecord,
  AttemptResult,
  CallTrace,
  ClaimedTask,
  DecideAttempt,
  EndedAttempt,
  FencedAttempt,
  HoldPlanOutcome,
  HoldRecord,
  HoldRequest,
  NewAssignment,
  NewPark,
  NewPlan,
  OutputChunk,
  Patience,
  PausedTaskRecord,
  PlanEvents,
  PlanRecord,
  QueueEventRecord,
  QueueHead,
  QueueSummary,
  RetryOutcome,
  TaskRecord,
  UndeliveredAttempt,
} from "./model.ts";

/** Which replica claims, and for how long. */
export interface Claimer {
  readonly owner: string;
  readonly leaseMs: number;
}

/** What became of leases that an agent asked for. What is in neither list is not its attempt, or no longer. */
export interface Renewal {
  readonly renewed: readonly AttemptKnown[];
  /** Somebody else has them locked: the agent may have them still, and its lease is as it was. */
  readonly inUse: readonly AttemptKnown[];
}

export interface ClaimWaiting extends Claimer {
  /** Each shape once. */
  readonly shapes: readonly ClaimOfShape[];
  /** Of these plans nothing. */
  readonly exceptPlanIds: readonly string[];
  /** Null: of all plans. */
  readonly planId: string | null;
}

export interface ClaimOfShape {
  readonly shapeKey: string;
  /** At most so many, 1..500. Fewer are answered when no more are due that nobody else has. */
  readonly limit: number;
}

/** The first due tasks of some shapes. */
export interface QueueHeads {
  /** In the order of the queue. */
  readonly heads: readonly QueueHead[];
  /** The shape behind which to go on; null: there are no more. */
  readonly next: string | null;
}

/** What was found of a shape. */
export interface ShapeInVain {
  readonly shapeKey: string;
  readonly reason: PauseReason;
  readonly sentence: string;
}

/** A place between two rows of the queue. */
export interface QueueSpot {
  readonly rank: number;
  readonly pauseQueueId: string;
}

/** Which due rows of the queue were looked at in vain. */
export interface CheckedInVain extends ShapeInVain {
  readonly planId: string | null;
  /** Rows with this reason already are left alone if they were checked within this time; 0 touches all. */
  readonly freshMs: number;
  /** Only rows behind it; null: from the first. */
  readonly after: QueueSpot | null;
}

export interface Page {
  readonly limit: number;
  /** `next` of the answer before; null: from the beginning. Throws BadCursorError when it is none of ours. */
  readonly after: string | null;
}

export interface Listed<Item> {
  readonly items: readonly Item[];
  /** Null at the end. */
  readonly next: string | null;
}

/** A place in a list that this store never gave out. */
export class BadCursorError extends Error {
  override readonly name = "BadCursorError";
}

/** A task that failed because it waited too long. */
export interface WaitedTooLong {
  readonly taskId: string;
  readonly planId: string;
  readonly sentence: string;
}

/** How far the deadlines of what waits have been put off after a release of the queue. */
export interface PuttingOff {
  /** The release. */
  readonly eventId: number;
  /** The last deadline that was looked at, as the database writes it. */
  readonly through: string;
  /** Whether there were any since it began with the first one. */
  readonly hasFound: boolean;
}

export interface WaitTimeouts {
  readonly failed: readonly WaitedTooLong[];
  /** Tasks that seemed to have, and whose deadline was put off by the time that the queue was held. */
  readonly putOff: number;
  /** Plans of which nothing could be written, each with why (null: somebody has them locked); their tasks wait still. */
  readonly leftOut: readonly { readonly planId: string; readonly error: unknown }[];
}

/** What became of one portion of old history. */
export interface Trimmed {
  /** False: nothing was deleted; where something was left out, others may stand behind it. */
  readonly isTrimmed: boolean;
  /** Plans that somebody else has locked; `error` null: none of theirs was waited for. */
  readonly leftOut: readonly { readonly planId: string; readonly error: unknown }[];
}

/** What earlier runs of a plan's name tell. */
export interface LearnedDuration {
  /** Empty: of all tasks of the plan's name. */
  readonly taskName: string;
  /** The newest first. */
  readonly recentMs: readonly number[];
}

/** Which assignments without an answer are sent again; the lease of each is counted anew from then on. */
export interface SendAgain {
  readonly agentIds: readonly string[];
  /** Last sent so long ago. */
  readonly afterMs: number;
  /** Given out no longer ago than this. */
  readonly withinMs: number;
  /** But none of these: they were refused, which is not written yet. */
  readonly exceptAttemptIds: readonly string[];
}

/** What became of assignments that are sent again. */
export interface SentAgain {
  readonly assignments: readonly AssignmentToSend[];
  /** Somebody else has them locked at this moment: they were to be sent, and are not. */
  readonly inUse: readonly string[];
}

/** What is over for longer is deleted. */
export interface HistoryAge {
  readonly ms: number;
  /** The database's time counts, but no later one than this: either clock may be years ahead, and what is deleted is gone. */
  readonly nowAtMostMs: EpochMs;
}

/** From when on something is to happen with an attempt. */
export interface DueLimits {
  /** Assigned, and not sent for so long. */
  readonly undeliveredAfterMs: number;
  /** Their lease ended so long ago. */
  readonly lostAfterMs: number;
  /** Sent and unanswered, and their reservation ends within this time. */
  readonly renewAheadMs: number;
  /** Of each kind at most. */
  readonly limit: number;
  /** Of these plans nothing but what is to be renewed. */
  readonly exceptPlanIds: readonly string[];
  /** Attempts that are not looked for among the lost. */
  readonly exceptLostIds: readonly string[];
  /** How long ago the database's clock was found to have been set ahead: no lease has lasted longer than that by now. Null: it was not. */
  readonly clockSetAgoMs: number | null;
}

export interface DueAttempts {
  readonly undelivered: readonly AttemptKnown[];
  readonly lost: readonly AttemptKnown[];
  readonly unanswered: readonly AttemptKnown[];
  /** The database's time. */
  readonly nowMs: EpochMs;
}

/** How many tasks that may start stand before one: those that are held, that wait for others or that can never fit do not count. */
export interface QueuePlace {
  readonly higherPriority: number;
  readonly samePriority: number;
  /** The same tasks by their shapes, those of which there are most: what is not counted here may want any room. */
  readonly aheadByShape: readonly AheadOfShape[];
  /** When that was so, by the database's clock: what is expected is counted from there. */
  readonly nowMs: EpochMs;
}

/** Tasks with the same needs that stand before another. */
export interface AheadOfShape {
  readonly needs: Needs;
  readonly tasks: number;
  /** How long the shortest of them is expected to run; null: of one at least that is unknown. */
  readonly shortestMs: number | null;
}

/** What runs, or is on its way to an agent. */
export interface RunningExpectation {
  /** By the database's clock. */
  readonly elapsedMs: number;
  readonly expectedDurationMs: number | null;
}

/** Until when an attempt that has not ended may go on without a word of its agent, by the database's clock. */
export interface WorkLease {
  /** Written to its agent's stream at least once. */
  readonly sent: boolean;
  readonly expiresAtMs: EpochMs;
  /** When the agent was last heard of about it. Null: it has not answered yet. */
  readonly renewedAtMs: EpochMs | null;
  readonly nowMs: EpochMs;
  /** Runs of its task that count against `maxAttempts`, this one included. */
  readonly runsUsed: number;
}

export interface CancelOutcome {
  /** Attempts that run: their agents are to be told. */
  readonly running: readonly (FencedAttempt & { readonly agentId: string; readonly planId: string })[];
  /** Attempts that certainly never reached an agent: their room is to be given back. */
  readonly takenBack: readonly EndedAttempt[];
  readonly cancelledTasks: number;
}

/**
 * Where plans, tasks, attempts, the queue and their history are kept. Each method is one transaction: it has happened
 * whole, or not at all. Leases and expiries are judged by the store's own clock. When the store is away, methods throw
 * what `classifyError` calls `unavailable`.
 */
export interface OrchestratorStore {
  // Accepting
  /** The plan that an idempotency key was used for. */
  findRequest(requestId: string): Promise<{ readonly planId: string; readonly requestHash: string } | null>;
  /**
   * How far the first due task of a shape is ahead of one that is accepted now with priority 0, ms (negative: behind it); shapes
   * for which none waits are left out.
   */
  queueFronts(shapeKeys: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /** Tasks without a pause are accepted as `pending`; the first `claimLimit` of them are claimed by `claimer`. */
  acceptPlan(plan: NewPlan, claimer: Claimer, claimLimit: number): Promise<AcceptOutcome>;

  // Placing
  /** Claims the first due rows of each shape; the answer is in the order of the queue. */
  claimWaiting(request: ClaimWaiting): Promise<readonly ClaimedTask[]>;
  /** Claims pending tasks that nobody claims, and whatever a claim that has expired left behind, but of plans that are held: of `planId` if given. */
  claimOrphans(claimer: Claimer, limit: number, planId: string | null): Promise<readonly ClaimedTask[]>;
  /**
   * Records attempts. Tasks whose claim was lost meanwhile (cancelled, taken over) are not in the answer, nor are those that a hold has come
   * over: these are still claimed. Waits only briefly for a plan that somebody else has locked: then it throws a `conflict`, and nothing
   * was written.
   */
  assign(
    assignments: readonly NewAssignment[],
    owner: string,
    actor: Actor,
    call?: CallTrace,
  ): Promise<readonly AssignmentToSend[]>;
  /** Gives claims up and puts the tasks (back) into the queue; answers how many still were ours. Waits as briefly as `assign`. */
  park(parks: readonly NewPark[], owner: string, actor: Actor, call?: CallTrace): Promise<number>;
  /** Which of these plans somebody else has locked at this moment. */
  plansInUse(planIds: readonly string[]): Promise<ReadonlySet<string>>;
  /** Lets other replicas take over at once whatever this one has claimed. */
  giveBackClaims(owner: string): Promise<number>;

  // The queue
  /**
   * The first due task of each of the next 1,000 shapes behind `after` (null: from the beginning), in the order of the queue. Work grows
   * with the number of shapes, not of tasks.
   */
  queueHeads(after: string | null): Promise<QueueHeads>;
  /** The first due tasks of the shapes that stand at the front of the queue, of 2,000 places, in the order of the queue. */
  queueFront(): Promise<readonly QueueHead[]>;
  /** The first due task of each shape of a plan, in the order of the queue. */
  queueHeadsOfPlan(planId: string): Promise<readonly QueueHead[]>;
  /** Ranks of the first due tasks of each shape, the lowest first: at most `ofEach`, 1..64, of each. */
  queueRanks(
    shapeKeys: readonly string[],
    about: Pick<ClaimWaiting, "planId" | "exceptPlanIds"> & { readonly ofEach: number },
  ): Promise<ReadonlyMap<string, readonly number[]>>;
  /** Rows whose `resume_after` has passed may be tried from now on; answers how many. */
  ripen(): Promise<number>;
  /** Room that is kept for tasks, with what has ended a while ago. */
  roomHolds(): Promise<readonly RoomHold[]>;
  /**
   * Keeps an agent for a task, with an event that says so. False: the task waits no more, another replica was first, or `atMost` agents are kept
   * already, whoever has given them.
   */
  keepRoom(hold: RoomHold, sentence: string, atMost: number): Promise<boolean>;
  /**
   * Ends holds whose task waits for room no more, and those of these agents, whose tasks need not rest for it; forgets those that have rested. Answers
   * how many.
   */
  endRoomHolds(agentIds: readonly string[]): Promise<number>;
  /** Marks rows of a shape as checked, at most 1,000 at a time. `last`: where it stopped; null: there were none. */
  markChecked(checked: CheckedInVain): Promise<{ readonly marked: number; readonly last: QueueSpot | null }>;
  /**
   * The same for the first rows of many shapes, each named once: at most `ofEach`, 1..1,000, of each. Answers the shapes that have as many, and may have more.
   * Rows that somebody else is changing are left alone.
   */
  markFronts(
    shapes: readonly ShapeInVain[],
    about: Pick<CheckedInVain, "planId" | "freshMs"> & { readonly ofEach: number },
  ): Promise<ReadonlySet<string>>;
  queueSummary(): Promise<QueueSummary>;
  /** Due rows that wait for room, of one plan or all, by whether they use a GPU. */
  countDue(planId: string | null): Promise<{ readonly cpuTasks: number; readonly gpuTasks: number }>;
  /** Rows that wait, of one plan or all; counting ends at `atMost`, null: it does not. */
  countWaiting(planId: string | null, atMost: number | null): Promise<number>;
  /** Time until the next row falls due; null when none will. */
  nextDueInMs(): Promise<number | null>;

  // Agents
  /** Attempts of this agent that have not ended. */
  openAttempts(agentId: string): Promise<readonly AttemptKnown[]>;
  /** Of these ids; durable, so that an agent may be told to end what is not among them. */
  findAttempts(attemptIds: readonly string[]): Promise<readonly AttemptKnown[]>;
  /** Assignments of these agents that were never sent, and of those of `again` what is to be sent again. Marks them sent. */
  takeToSend(agentIds: readonly string[], again: SendAgain): Promise<readonly AssignmentToSend[]>;
  /**
   * The same for named attempts, whenever they were sent; what was given out longer than `withinMs` ago, and than its own work lease is long, is
   * left alone. What somebody else has locked is not waited for.
   */
  takeToSendAgain(attemptIds: readonly string[], withinMs: number): Promise<SentAgain>;
  /** Running attempts of these agents that are to be cancelled and were not told within `resendMs`; marks them told. */
  takeToCancel(
    agentIds: readonly string[],
    resendMs: number,
  ): Promise<readonly (FencedAttempt & { readonly agentId: string })[]>;
  // Of a plan that somebody else keeps locked an agent's reports wait as long as their `patience` lasts where there is one; without one they
  // throw a `conflict` after some two seconds. So do those of an attempt that is locked itself, with patience or without: whoever has it
  // says them again, and they say so at once then. So does, always at once, the end of a task of which somebody has locked what comes after it
  // (`DependentsLockedError`). Reports of one attempt are taken in the order in which they are given.
  /** The agent has it: `assigned` becomes `running`. Null: it is not (any more) its attempt. */
  acceptAttempt(attempt: FencedAttempt, agentId: string, patience?: Patience): Promise<AttemptKnown | null>;
  markStarted(
    attempt: FencedAttempt,
    agentId: string,
    startedAtMs: number,
    patience?: Patience,
  ): Promise<AttemptKnown | null>;
  /**
   * Extends leases of running attempts. `waits`: whether it waits for what somebody else has locked; "briefly" throws a `conflict` after
   * a quarter of a second.
   */
  renewLeases(attempts: readonly FencedAttempt[], agentId: string, waits: "never" | "briefly"): Promise<Renewal>;
  /**
   * Keeps output up to `maxBytes` per attempt, and at least the newest piece: of what is more, three quarters of the bound
   * for the beginning and the rest for the newest. Pieces that came before are dropped. Answers the last number held, null
   * for an attempt that is unknown or another agent's. Waits for an attempt that somebody else has locked a quarter of a second, where not
   * many are waited for already; then it throws a `conflict`.
   */
  appendOutput(
    attempt: FencedAttempt,
    agentId: string,
    chunks: readonly OutputChunk[],
    maxBytes: number,
    patience?: Patience,
  ): Promise<number | null>;
  /** Null: no such attempt. */
  finishAttempt(result: AttemptResult, decide: DecideAttempt, patience?: Patience): Promise<AppliedVerdict | null>;
  /** When it was written to its agent's stream last. Null: never, or there is no such attempt. */
  lastSentAt(attemptId: string): Promise<EpochMs | null>;
  /**
   * The agent refused it, or will certainly never get it. Null: no such attempt in `assigned`, or it was sent again since; or the `patience`
   * has ended: then its agent is asked again.
   */
  undeliver(
    attempt: UndeliveredAttempt,
    agentId: string,
    decide: DecideAttempt,
    patience?: Patience,
  ): Promise<AppliedVerdict | null>;

  // Sweeps
  /** Attempts with which something is to happen by now. */
  findDueAttempts(limits: DueLimits): Promise<DueAttempts>;
  /** Which of these somebody else has locked at this moment, or their tasks, or their plans: what is written of them would have to wait. */
  attemptsInUse(attemptIds: readonly string[]): Promise<ReadonlySet<string>>;
  /** As `undeliver`, but only if it still was never sent. */
  takeBackUnsent(attempt: FencedAttempt, decide: DecideAttempt): Promise<AppliedVerdict | null>;
  /** As decided, but only if its lease still ended longer than `graceMs` ago. */
  loseAttempt(attempt: FencedAttempt, graceMs: number, decide: DecideAttempt): Promise<AppliedVerdict | null>;
  noteReservationsRenewed(
    renewed: readonly { readonly attemptId: string; readonly leaseLeftMs: number }[],
  ): Promise<void>;

  // Cancelling
  /** Null: no such plan. */
  // What is asked of one plan throws `PlanLockedError` when somebody else keeps it locked.
  cancelPlan(planId: string, reason: string, actor: Actor, call?: CallTrace): Promise<CancelOutcome | null>;
  /** `finished`: it had ended already, in this state. */
  cancelTask(
    taskId: string,
    reason: string,
    actor: Actor,
    call?: CallTrace,
  ): Promise<
    | ({ readonly kind: "cancelled" } & CancelOutcome)
    | { readonly kind: "finished"; readonly state: TaskState }
    | { readonly kind: "unknown" }
  >;

  // Operating
  /** Nothing of the plan is assigned after this, nor sent for the first time, until it is released: what was not sent yet is taken back as decided. */
  holdPlan(planId: string, request: HoldRequest, decide: DecideAttempt): Promise<HoldPlanOutcome>;
  /** Answers how many tasks may start again; null: no such plan. */
  releasePlan(planId: string, request: HoldRequest): Promise<number | null>;
  /** Failed tasks wait again, with all attempts anew, and what was cancelled because of them. `requestId` null: not idempotent. */
  retryPlan(planId: string, requestId: string | null, reason: string, call: CallTrace): Promise<RetryOutcome>;
  /** Null: nobody holds the queue. */
  queueHold(): Promise<HoldRecord | null>;
  /** Nothing is assigned any more once it is committed, but for what is being committed at that moment. */
  holdQueue(request: HoldRequest): Promise<HoldRecord>;
  /** While the queue is held: takes claims away, but for those that somebody else has locked. */
  takeClaimsAway(): Promise<void>;
  /** Answers the hold that ended; null: there was none. Deadlines of what waits are late by as long as it lasted: `putOffAfterRelease` writes that. */
  releaseQueue(request: HoldRequest): Promise<HoldRecord | null>;
  /** The newest first. */
  listQueueEvents(page: Page): Promise<Listed<QueueEventRecord>>;

  // What ends by time
  /**
   * Puts off at most `limit` of the deadlines that a release of the queue has left; `before` is the last answer. Null: there are none, and replicas of
   * the version before see the queue released.
   */
  putOffAfterRelease(limit: number, before: PuttingOff | null): Promise<PuttingOff | null>;
  /** Fails tasks that have waited longer than they were to, at most `limit`, and none of these plans; none at all while the queue is held. */
  failWaitedTooLong(limit: number, exceptPlanIds: readonly string[]): Promise<WaitTimeouts>;
  /** Deletes what is older than that, in portions of at most `limit` rows or one plan, and of none of these plans: events first. */
  trimHistory(olderThan: HistoryAge, limit: number, exceptPlanIds: readonly string[]): Promise<Trimmed>;

  /** Whether a plan cannot be had though it is waited for (2 s): who only works on it, again and again, lets go of it meanwhile. */
  isPlanKeptLocked(planId: string): Promise<boolean>;

  // Estimates
  /** Remembers how long these runs took, as far as they succeeded. */
  learnDurations(attemptIds: readonly string[]): Promise<void>;
  learnedDurations(planName: string): Promise<readonly LearnedDuration[]>;
  /** Counted up to `bound` each; null: it does not wait for room. */
  queuePlace(taskId: string, bound: number): Promise<QueuePlace | null>;
  /** At most `limit`, those that began first. */
  runningExpectations(limit: number): Promise<readonly RunningExpectation[]>;
  /** Null: no such attempt, or it has ended. */
  workLease(attemptId: string): Promise<WorkLease | null>;

  // Reading
  getPlan(planId: string): Promise<PlanRecord | null>;
  /** The newest first. */
  listPlans(
    filter: { readonly statuses: readonly PlanStatus[]; readonly name: string },
    page: Page,
  ): Promise<Listed<PlanRecord>>;
  /** All tasks of a plan, in its order, with their newest attempt. */
  planTasks(planId: string): Promise<readonly TaskRecord[]>;
  /** With all its attempts. */
  getTask(taskId: string): Promise<TaskRecord | null>;
  /** The newest first, with their newest attempt. */
  listTasks(
    filter: { readonly planId: string | null; readonly states: readonly TaskState[] },
    page: Page,
  ): Promise<Listed<TaskRecord>>;
  /** First those that may start, in the order in which they will be tried; then those that are not tried, in the same order. */
  listPaused(
    filter: { readonly planId: string | null; readonly reasons: readonly PauseReason[] | null },
    page: Page,
  ): Promise<Listed<PausedTaskRecord>>;
  /** How many tasks of a plan wait, for these reasons or for any (null). */
  countPaused(planId: string, reasons: readonly PauseReason[] | null): Promise<number>;
  /** Null: no such attempt of this task. `attemptId` null: the newest. */
  findAttempt(taskId: string, attemptId: string | null): Promise<AttemptRecord | null>;
  /** In order. Between beginning and end stands a piece of stream "headroom" that says how many bytes are left out there. */
  readOutput(attemptId: string, afterSeq: number, limit: number): Promise<readonly OutputChunk[]>;
  /** Bytes left out after the last piece that is kept. */
  outputDroppedBytes(attemptId: string): Promise<number>;
  /** `taskId`: only those of one task. Null: no such plan. */
  eventsAfter(planId: string, afterEventId: number, limit: number, taskId?: string | null): Promise<PlanEvents | null>;
  ping(): Promise<void>;
}
