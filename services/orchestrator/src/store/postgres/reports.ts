/**
 * What becomes of attempts: accepted, started, ended, given up. Reports that come together are decided and written together:
 * while one group commits the next one gathers, so that a busy moment costs few commits and a quiet one no delay. A plan that somebody
 * keeps locked delays a group once, and briefly: from then on what is told of it waits aside, until the lock or its wait has ended.
 */
import { classifyError, confirmPrimary, type Database, isAboutDatabase, type Transaction } from "@headroom/postgres";
import { unavailable } from "@headroom/rpc";
import { Grouped } from "@headroom/runtime";
import type {
  Actor,
  AppliedVerdict,
  AttemptKnown,
  AttemptResult,
  DecideAttempt,
  FencedAttempt,
  Patience,
} from "../model.ts";
import { type HoldOptions, holdReports } from "./hold-reports.ts";
import { type AttemptRow, lockAttempts, lockFreeAttempts, readAttempts } from "./attempt-rows.ts";
import { freeAttempts, plansInUse, RowLockedError, waitBriefly } from "./lock-wait.ts";
import { ReportDraft } from "./report-draft.ts";
import { ReportsAside } from "./reports-aside.ts";
import { fitsAtOnce, writeAtOnce } from "./write-at-once.ts";
import { writeReports } from "./write-reports.ts";

/** Facts of an attempt's end, as far as somebody told them. */
export type Told = Pick<AttemptResult, "exitCode" | "signal" | "sentence" | "startedAtMs" | "finishedAtMs" | "used"> & {
  readonly reason: string;
  /** Null: nobody told, and none is waited for. */
  readonly lastOutputSeq: AttemptResult["lastOutputSeq"] | null;
};

interface AboutAttempt {
  readonly attempt: FencedAttempt;
  /** Undefined: whoever waits has something else to do, and hears at once that it is locked. */
  readonly patience?: Patience | undefined;
}

export type Report = AboutAttempt &
  (
    | {
        readonly kind: "runs";
        readonly agentId: string;
        /** Null: only accepted so far. */
        readonly startedAtMs: number | null;
      }
    | {
        readonly kind: "ends";
        readonly decide: DecideAttempt;
        readonly told: Told;
        readonly actor: Actor;
        /** Whether what was found at first still holds, now that the rows are locked. */
        readonly stillSo: (row: AttemptRow) => boolean;
      }
  );

/** Null: it is not so (any more), and nothing was written. */
export type ReportAnswer =
  | { readonly kind: "runs"; readonly attempt: AttemptKnown }
  | { readonly kind: "ends"; readonly applied: AppliedVerdict }
  | null;

/** Bound of a transaction: locks are held and replies wait until it is over. */
const maxGroup = 256;
const maxWaiting = 20_000;
export type SubmitReport = (report: Report) => Promise<ReportAnswer>;

/** Waits aside: nothing was written of it yet. */
interface PutAside {
  readonly kind: "aside";
  readonly answer: Promise<ReportAnswer>;
}

export function createReports(db: Database, hold?: HoldOptions): SubmitReport {
  const limits = {
    max: maxGroup,
    maxWaiting,
    makeBusyError: () =>
      unavailable(
        "DATABASE_BUSY",
        "more reports of agents wait than the database takes; they are to be sent again",
        1_000,
      ),
  };
  const aside = new ReportsAside({
    ...limits,
    // Of a plan that is locked each alone would wait for the same lock as long again.
    isForAll: (error) => isAboutDatabase(error) || (isInTheWay(error) && !(error instanceof RowLockedError)),
    run: (reports) => decideAside(db, reports),
  });
  const groups = new Grouped<Report, ReportAnswer | PutAside>({
    ...limits,
    // The failure of one that the database cannot take must not be that of the others.
    isForAll: isAboutDatabase,
    run: (reports) => applyUnlocked(db, reports, aside),
  });
  const submit: SubmitReport = async (report) => {
    const answer = await groups.submit(report);
    return answer?.kind === "aside" ? answer.answer : answer;
  };
  return hold === undefined ? submit : holdReports(submit, () => groups.isBusy, hold);
}

function fulfilled<Value>(value: Value): PromiseFulfilledResult<Value> {
  return { status: "fulfilled", value };
}

function rejected(reason: unknown): PromiseRejectedResult {
  return { status: "rejected", reason };
}

/** A lock was not to be had in time, or the statement took too long: nothing was written. */
function isInTheWay(error: unknown): boolean {
  const { kind } = classifyError(error);
  return kind === "conflict" || kind === "timeout";
}

/** Applies what nobody's lock is in the way of, and puts the rest aside. */
async function applyUnlocked(
  db: Database,
  reports: readonly Report[],
  aside: ReportsAside,
): Promise<readonly PromiseSettledResult<ReportAnswer | PutAside>[]> {
  // Only reports of plans that wait aside, and those that have, need to know theirs.
  const needsPlans = !aside.isEmpty || reports.some((report) => aside.tookBefore(report));
  const planOf = needsPlans ? await readPlans(db, reports) : new Map<string, string>();
  try {
    return await applyApart(db, reports, aside, (report) => {
      const planId = planOf.get(report.attempt.attemptId);
      return planId !== undefined && (aside.has(planId) || aside.tookBefore(report)) ? planId : null;
    });
  } catch (error) {
    if (!isInTheWay(error)) throw error;
  }
  const plans = await readPlans(db, reports);
  const free = await freeAttempts(db, [...plans.keys()]);
  // Of a plan all goes the same way: reports keep their order.
  const inUse = new Set([...plans].filter(([attemptId]) => !free.has(attemptId)).map(([, planId]) => planId));
  return applyApart(db, reports, aside, (report) => {
    const planId = plans.get(report.attempt.attemptId);
    return planId !== undefined && (inUse.has(planId) || aside.has(planId)) ? planId : null;
  });
}

async function readPlans(db: Database, reports: readonly Report[]): Promise<ReadonlyMap<string, string>> {
  const rows = await readAttempts(db, attemptIdsOf(reports));
  return new Map(rows.map((row) => [row.attempt_id, row.plan_id]));
}

/** `lockedPlan`: the plan for which a report has to wait; null: it need not. What waits for none is committed before the rest is put aside. */
async function applyApart(
  db: Database,
  reports: readonly Report[],
  aside: ReportsAside,
  lockedPlan: (report: Report) => string | null,
): Promise<readonly PromiseSettledResult<ReportAnswer | PutAside>[]> {
  const lockedPlans = reports.map(lockedPlan);
  const free = reports.filter((_, index) => lockedPlans[index] === null);
  const answers = (free.length === 0 ? [] : await applyReports(db, free)).values();
  return reports.map((report, index) => {
    const planId = lockedPlans[index] ?? null;
    if (planId === null) return fulfilled(answers.next().value ?? null);
    if (report.patience === undefined) return rejected(new RowLockedError(`plan ${planId} is locked, or tasks of it`));
    return fulfilled({ kind: "aside", answer: aside.submit(planId, report) });
  });
}

function attemptIdsOf(reports: readonly Report[]): readonly string[] {
  return [...new Set(reports.map(({ attempt }) => attempt.attemptId))];
}

/**
 * Most groups need no more than a look and one statement, which writes only if what was seen still stands. The others take a transaction
 * that locks first. Both wait only briefly for what somebody else has locked.
 */
async function applyReports(db: Database, reports: readonly Report[]): Promise<readonly ReportAnswer[]> {
  const attemptIds = attemptIdsOf(reports);
  const seen = await readAttempts(db, attemptIds);
  if (seen.length === attemptIds.length) {
    const draft = new ReportDraft(seen);
    const answers = reports.map((report) => draft.apply(report));
    if (fitsAtOnce(draft) && (await writeAtOnce(db, draft))) return answers;
  }
  return db.transaction(async (tx) => {
    await waitBriefly(tx);
    return decide(tx, reports, await lockAttempts(tx, attemptIds));
  });
}

/**
 * A plan is waited for as long as a session waits for a lock (10 s): so what is told of it is written when that ends, before anybody finds
 * that a lease has. Of several plans, those that are free by then are not kept waiting for the others, which are refused with PostgreSQL's
 * own word.
 */
async function decideAside(
  db: Database,
  reports: readonly Report[],
): Promise<readonly PromiseSettledResult<ReportAnswer>[]> {
  try {
    return await decideFree(db, reports);
  } catch (error) {
    if (!isInTheWay(error)) throw error;
    const plans = await readPlans(db, reports);
    const inUse = await plansInUse(db, [...new Set(plans.values())]);
    const isFree = ({ attempt }: Report): boolean => !inUse.has(plans.get(attempt.attemptId) ?? "");
    const free = reports.filter(isFree);
    if (free.length === 0) throw error;
    const answers = (await decideFree(db, free).catch(notItsPlan)).values();
    return reports.map((report) => (isFree(report) ? (answers.next().value ?? fulfilled(null)) : rejected(error)));
  }
}

/** Something else is locked, the task of a dependent for instance. */
function notItsPlan(error: unknown): never {
  if (classifyError(error).kind !== "conflict") throw error;
  throw new RowLockedError("rows that a report changes are locked", { cause: error });
}

/**
 * Waits for plans, and with them in hand for anything else but briefly: an attempt that somebody keeps locked must not keep the reports of
 * all others back, nor whoever else needs their plan. It is refused. Of several plans (in the shared lane) one may be held while another is
 * waited for.
 */
function decideFree(db: Database, reports: readonly Report[]): Promise<readonly PromiseSettledResult<ReportAnswer>[]> {
  const attemptIds = attemptIdsOf(reports);
  return db.transaction(async (tx) => {
    const locked = await lockFreeAttempts(tx, attemptIds);
    await waitBriefly(tx);
    const lockedIds = new Set(locked.map(({ attempt_id }) => attempt_id));
    const others = attemptIds.filter((attemptId) => !lockedIds.has(attemptId));
    const inUse = new Set(others.length === 0 ? [] : (await readAttempts(tx, others)).map((row) => row.attempt_id));
    const isFree = ({ attempt }: Report): boolean => !inUse.has(attempt.attemptId);
    const answers = (await decide(tx, reports.filter(isFree), locked)).values();
    return reports.map((report) =>
      isFree(report)
        ? fulfilled(answers.next().value ?? null)
        : rejected(new RowLockedError(`attempt ${report.attempt.attemptId} is locked, or its task`)),
    );
  });
}

/** `locked`: all of their attempts that there are. */
async function decide(
  tx: Transaction,
  reports: readonly Report[],
  locked: readonly AttemptRow[],
): Promise<readonly ReportAnswer[]> {
  // Its agent is told to forget what is not known here; and where nothing was locked, nothing would wait for the standby.
  if (locked.length < attemptIdsOf(reports).length) await tx.query(confirmPrimary);
  const draft = new ReportDraft(locked);
  const answers = reports.map((report) => draft.apply(report));
  const releasedBy = await writeReports(tx, draft);
  return answers.map((answer): ReportAnswer => {
    if (answer?.kind !== "ends") return answer;
    const released = releasedBy.get(answer.applied.taskId) ?? 0;
    return { kind: "ends", applied: { ...answer.applied, released } };
  });
}
