import type { Database } from "@headroom/postgres";
import type { OrchestratorStore } from "../port.ts";
import { createAcceptPlan, findRequest } from "./accept.ts";
import { assign } from "./assign.ts";
import { cancelPlan, cancelTask } from "./cancel.ts";
import { claimOrphans, claimWaiting, giveBackClaims } from "./claim.ts";
import { takeToCancel, takeToSend, takeToSendAgain } from "./deliver.ts";
import { findDueAttempts } from "./due-attempts.ts";
import { eventsAfter } from "./events.ts";
import { findAttempts, noteReservationsRenewed, openAttempts } from "./known-attempts.ts";
import { putOffAfterRelease } from "./late-deadlines.ts";
import { learnDurations, learnedDurations } from "./durations.ts";
import { holdPlan, releasePlan } from "./hold-plan.ts";
import { holdQueue, listQueueEvents, queueHold, releaseQueue, takeClaimsAway } from "./queue-hold.ts";
import { queuePlace, runningExpectations } from "./queue-place.ts";
import { endRoomHolds, keepRoom, roomHolds } from "./room-holds.ts";
import { trimHistory } from "./retention.ts";
import { retryPlan } from "./retry-plan.ts";
import { failWaitedTooLong } from "./wait-timeouts.ts";
import { createAppendOutput, outputDroppedBytes, readOutput } from "./output.ts";
import { PlanTransactions } from "./plan-transactions.ts";
import { queueFront, queueHeads, queueHeadsOfPlan, queueRanks, ripen } from "./heads.ts";
import { attemptsInUse, isPlanKeptLocked, plansInUse } from "./lock-wait.ts";
import { park } from "./park.ts";
import { markChecked, markFronts } from "./stamp.ts";
import { countDue, countWaiting, nextDueInMs, queueFronts, queueSummary } from "./queue.ts";
import { findAttempt } from "./read-attempts.ts";
import { getPlan, listPlans } from "./read-plans.ts";
import { countPaused, listPaused } from "./read-queue.ts";
import { getTask, listTasks, planTasks } from "./read-tasks.ts";
import { renewLeases } from "./renew-leases.ts";
import type { HoldOptions } from "./hold-reports.ts";
import { createReports } from "./reports.ts";
import { acceptOrStart, finishAttempt, lastSentAt, loseAttempt, takeBackUnsent, undeliver } from "./settle.ts";
import { workLease } from "./work-lease.ts";

/** The store on PostgreSQL, schema `orchestrator`. Migrations must have run. */
export function createPostgresStore(db: Database, options: { readonly hold?: HoldOptions } = {}): OrchestratorStore {
  const submit = createReports(db, options.hold);
  const plans = new PlanTransactions(db);
  return {
    findRequest: (requestId) => findRequest(db, requestId),
    queueFronts: (shapeKeys) => queueFronts(db, shapeKeys),
    acceptPlan: createAcceptPlan(db),

    claimWaiting: (request) => claimWaiting(db, request),
    claimOrphans: (claimer, limit, planId) => claimOrphans(db, claimer, limit, planId),
    assign: (assignments, owner, actor, call) => assign(db, assignments, owner, actor, call),
    park: (parks, owner, actor, call) => park(db, parks, owner, actor, call),
    plansInUse: (planIds) => plansInUse(db, planIds),
    giveBackClaims: (owner) => giveBackClaims(db, owner),

    queueHeads: (after) => queueHeads(db, after),
    queueFront: () => queueFront(db),
    queueHeadsOfPlan: (planId) => queueHeadsOfPlan(db, planId),
    queueRanks: (shapeKeys, about) => queueRanks(db, shapeKeys, about),
    ripen: () => ripen(db),
    roomHolds: () => roomHolds(db),
    keepRoom: (hold, sentence, atMost) => keepRoom(db, hold, sentence, atMost),
    endRoomHolds: (agentIds) => endRoomHolds(db, agentIds),
    markChecked: (checked) => markChecked(db, checked),
    markFronts: (shapes, about) => markFronts(db, shapes, about),
    queueSummary: () => queueSummary(db),
    countDue: (planId) => countDue(db, planId),
    countWaiting: (planId, atMost) => countWaiting(db, planId, atMost),
    nextDueInMs: () => nextDueInMs(db),

    openAttempts: (agentId) => openAttempts(db, agentId),
    findAttempts: (attemptIds) => findAttempts(db, attemptIds),
    takeToSend: (agentIds, again) => takeToSend(db, agentIds, again),
    takeToSendAgain: (attemptIds, withinMs) => takeToSendAgain(db, attemptIds, withinMs),
    takeToCancel: (agentIds, resendMs) => takeToCancel(db, agentIds, resendMs),
    acceptAttempt: (attempt, agentId, patience) => acceptOrStart(submit, attempt, agentId, null, patience),
    markStarted: (attempt, agentId, startedAtMs, patience) =>
      acceptOrStart(submit, attempt, agentId, startedAtMs, patience),
    renewLeases: (attempts, agentId, waits) => renewLeases(db, attempts, agentId, waits),
    appendOutput: createAppendOutput(db),
    finishAttempt: (result, decide, patience) => finishAttempt(submit, result, decide, patience),
    lastSentAt: (attemptId) => lastSentAt(db, attemptId),
    undeliver: (attempt, agentId, decide, patience) => undeliver(submit, attempt, agentId, decide, patience),

    findDueAttempts: (limits) => findDueAttempts(db, limits),
    attemptsInUse: (attemptIds) => attemptsInUse(db, attemptIds),
    takeBackUnsent: (attempt, decide) => takeBackUnsent(submit, attempt, decide),
    loseAttempt: (attempt, graceMs, decide) => loseAttempt(submit, attempt, graceMs, decide),
    noteReservationsRenewed: (renewed) => noteReservationsRenewed(db, renewed),

    cancelPlan: (planId, reason, actor, call) => cancelPlan(db, plans, planId, reason, actor, call),
    cancelTask: (taskId, reason, actor, call) => cancelTask(db, plans, taskId, reason, actor, call),

    holdPlan: (planId, request, decide) => holdPlan(plans, planId, request, decide),
    releasePlan: (planId, request) => releasePlan(plans, planId, request),
    retryPlan: (planId, requestId, reason, call) => retryPlan(plans, planId, requestId, reason, call),
    queueHold: () => queueHold(db),
    holdQueue: (request) => holdQueue(db, request),
    takeClaimsAway: () => takeClaimsAway(db),
    releaseQueue: (request) => releaseQueue(db, request),
    listQueueEvents: (page) => listQueueEvents(db, page),

    putOffAfterRelease: (limit, before) => putOffAfterRelease(db, limit, before),
    failWaitedTooLong: (limit, exceptPlanIds) => failWaitedTooLong(db, limit, exceptPlanIds),
    trimHistory: (olderThan, limit, exceptPlanIds) => trimHistory(db, olderThan, limit, exceptPlanIds),
    isPlanKeptLocked: (planId) => isPlanKeptLocked(db, planId),

    learnDurations: (attemptIds) => learnDurations(db, attemptIds),
    learnedDurations: (planName) => learnedDurations(db, planName),
    queuePlace: (taskId, bound) => queuePlace(db, taskId, bound),
    runningExpectations: (limit) => runningExpectations(db, limit),
    workLease: (attemptId) => workLease(db, attemptId),

    getPlan: (planId) => getPlan(db, planId),
    listPlans: (filter, page) => listPlans(db, filter, page),
    planTasks: (planId) => planTasks(db, planId),
    getTask: (taskId) => getTask(db, taskId),
    listTasks: (filter, page) => listTasks(db, filter, page),
    listPaused: (filter, page) => listPaused(db, filter, page),
    countPaused: (planId, reasons) => countPaused(db, planId, reasons),
    findAttempt: (taskId, attemptId) => findAttempt(db, taskId, attemptId),
    readOutput: (attemptId, afterSeq, limit) => readOutput(db, attemptId, afterSeq, limit),
    outputDroppedBytes: (attemptId) => outputDroppedBytes(db, attemptId),
    eventsAfter: (planId, afterEventId, limit, taskId) => eventsAfter(db, planId, afterEventId, limit, taskId),
    ping: () => db.ping(),
  };
}
