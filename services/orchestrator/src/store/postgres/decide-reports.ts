/** Reports decided and written together, in one transaction or less. */
import { confirmPrimary, type Database, type Transaction } from "@headroom/postgres";
import { DependentsLockedError, RowLockedError } from "../row-locked.ts";
import {
  type AttemptRow,
  lockAttempts,
  lockFreeAttempts,
  lockFreeAttemptsOfFreePlans,
  readAttempts,
} from "./attempt-rows.ts";
import { lockDependents } from "./free-dependents.ts";
import { waitAMoment, waitBriefly } from "./lock-wait.ts";
import { ReportDraft } from "./report-draft.ts";
import type { Report, ReportAnswer } from "./reports.ts";
import { fitsAtOnce, writeAtOnce } from "./write-at-once.ts";
import { writeReports } from "./write-reports.ts";

/** Rejected with `RowLockedError`: rows that it changes are locked, and nothing was written of its attempt. */
type Outcome = PromiseSettledResult<ReportAnswer>;

export function fulfilled<Value>(value: Value): PromiseFulfilledResult<Value> {
  return { status: "fulfilled", value };
}

export function rejected(reason: unknown): PromiseRejectedResult {
  return { status: "rejected", reason };
}

export function attemptIdsOf(reports: readonly Report[]): readonly string[] {
  return [...new Set(reports.map(({ attempt }) => attempt.attemptId))];
}

/**
 * Most groups need no more than a look and one statement, which writes only if what was seen still stands. The others take a transaction
 * that locks first. Both wait only briefly for what somebody else has locked, and for what depends on a task that ends not at all.
 */
export async function applyReports(db: Database, reports: readonly Report[]): Promise<readonly Outcome[]> {
  const attemptIds = attemptIdsOf(reports);
  const seen = await readAttempts(db, attemptIds);
  if (seen.length === attemptIds.length) {
    const draft = new ReportDraft(seen);
    const answers = reports.map((report) => draft.apply(report));
    if (fitsAtOnce(draft) && (await writeAtOnce(db, draft))) return answers.map(fulfilled);
  }
  return db.transaction(async (tx) => {
    await waitBriefly(tx);
    return decide(tx, reports, await lockAttempts(tx, attemptIds));
  });
}

/** Waits for one plan (as long as a session does), and with it in hand for nothing else: who else needs it is not to wait as well. */
export function applyOncePlanIsFree(db: Database, reports: readonly Report[]): Promise<readonly Outcome[]> {
  return db.transaction((tx) => applyFree(tx, reports, lockFreeAttempts));
}

/** Waits for one plan, but no longer than others need it who are at work. */
export function applyInAMoment(db: Database, reports: readonly Report[]): Promise<readonly Outcome[]> {
  return db.transaction(async (tx) => {
    await waitAMoment(tx);
    return applyFree(tx, reports, lockFreeAttempts);
  });
}

/** Of any plans: waits for nothing. */
export function applyWhatIsFree(db: Database, reports: readonly Report[]): Promise<readonly Outcome[]> {
  return db.transaction((tx) => applyFree(tx, reports, lockFreeAttemptsOfFreePlans));
}

async function applyFree(
  tx: Transaction,
  reports: readonly Report[],
  lock: typeof lockFreeAttempts,
): Promise<readonly Outcome[]> {
  const attemptIds = attemptIdsOf(reports);
  const locked = await lock(tx, attemptIds);
  await waitBriefly(tx);
  const lockedIds = new Set(locked.map(({ attempt_id }) => attempt_id));
  const others = attemptIds.filter((attemptId) => !lockedIds.has(attemptId));
  const inUse = new Set(others.length === 0 ? [] : (await readAttempts(tx, others)).map((row) => row.attempt_id));
  const refusal = ({ attempt: { attemptId } }: Report): RowLockedError | null =>
    inUse.has(attemptId) ? new RowLockedError(`attempt ${attemptId} is locked, or its task or plan`) : null;
  return allBut(reports, refusal, (free) => decide(tx, free, locked));
}

/** Refuses some, and puts the outcomes of the others in their places. */
async function allBut(
  reports: readonly Report[],
  refusal: (report: Report) => RowLockedError | null,
  decideOthers: (others: readonly Report[]) => Promise<readonly Outcome[]>,
): Promise<readonly Outcome[]> {
  const refusals = reports.map(refusal);
  const others = reports.filter((_, index) => refusals[index] === null);
  const outcomes = (others.length === 0 ? [] : await decideOthers(others)).values();
  return refusals.map((refused) => (refused === null ? (outcomes.next().value ?? fulfilled(null)) : rejected(refused)));
}

/** `locked`: all of their attempts that there are. */
async function decide(
  tx: Transaction,
  reports: readonly Report[],
  locked: readonly AttemptRow[],
): Promise<readonly Outcome[]> {
  // Its agent is told to forget what is not known here; and where nothing was locked, nothing would wait for the standby.
  if (locked.length < attemptIdsOf(reports).length) await tx.query(confirmPrimary);
  const draft = new ReportDraft(locked);
  const answers = reports.map((report) => draft.apply(report));
  const keptTasks = await lockDependents(tx, draft.changes);
  if (keptTasks.size > 0) {
    // The draft has changed its rows: what is left is decided anew, on rows that are locked by now.
    const kept = new Set(locked.flatMap((row) => (keptTasks.has(row.task_id) ? row.attempt_id : [])));
    return allBut(reports, refuseEndsOf(kept), async (others) =>
      decide(tx, others, await lockAttempts(tx, attemptIdsOf(others))),
    );
  }
  const releasedBy = await writeReports(tx, draft);
  return answers.map((answer): Outcome => {
    if (answer?.kind !== "ends") return fulfilled(answer);
    const released = releasedBy.get(answer.applied.taskId) ?? 0;
    return fulfilled({ kind: "ends", applied: { ...answer.applied, released } });
  });
}

/** That they run may be written, and has come before: each attempt's reports are asked about in their order. */
function refuseEndsOf(kept: ReadonlySet<string>): (report: Report) => DependentsLockedError | null {
  const ended = new Set<string>();
  return ({ kind, attempt: { attemptId } }) => {
    if (!kept.has(attemptId)) return null;
    if (kind === "ends") ended.add(attemptId);
    return ended.has(attemptId) ? new DependentsLockedError(attemptId) : null;
  };
}
