/**
 * What becomes of attempts: accepted, started, ended, given up. Reports that come together are decided and written together:
 * while one group commits the next one gathers, so that a busy moment costs few commits and a quiet one no delay. A plan that somebody
 * keeps locked delays a group once, and briefly: from then on what is told of it waits aside, until the lock or its wait has ended.
 */
import { classifyError, confirmPrimary, type Database, isAboutDatabase } from "@headroom/postgres";
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
import { type AttemptRow, lockAttempts, readAttempts } from "./attempt-rows.ts";
import { freeAttempts, waitBriefly } from "./lock-wait.ts";
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
  /** Undefined: whoever waits has something else to do. */
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
    // Each alone would wait for the same lock as long again.
    isForAll: (error) => isAboutDatabase(error) || isInTheWay(error),
    run: (reports) => decideAside(db, reports),
  });
  const groups = new Grouped<Report, ReportAnswer | PutAside>({
    ...limits,
    // The failure of one that the database cannot take must not be that of the others.
    isForAll: isAboutDatabase,
    run: async (reports) => (await applyUnlocked(db, reports, aside)).map(fulfilled),
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
): Promise<readonly (ReportAnswer | PutAside)[]> {
  // Only reports of plans that wait aside need to know theirs.
  const planOf = aside.isEmpty ? new Map<string, string>() : await readPlans(db, reports);
  try {
    return await applyApart(db, reports, aside, (report) => {
      const planId = planOf.get(report.attempt.attemptId);
      return planId !== undefined && aside.has(planId) ? planId : null;
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
): Promise<readonly (ReportAnswer | PutAside)[]> {
  const lockedPlans = reports.map(lockedPlan);
  const free = reports.filter((_, index) => lockedPlans[index] === null);
  const answers = (free.length === 0 ? [] : await applyReports(db, free)).values();
  return reports.map((report, index) => {
    const planId = lockedPlans[index] ?? null;
    if (planId === null) return answers.next().value ?? null;
    return { kind: "aside", answer: aside.submit(planId, report) };
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
  return decideLocked(db, reports, "briefly");
}

/**
 * What agents tell waits as long as their streams last, each time as long as a session waits for a lock (10 s): so it is written when the lock
 * ends, before anybody finds that its lease has. Who leaves makes the others come again, and so does a database that is too slow. Of several
 * plans, those that are free by then are not kept waiting for the others.
 */
async function decideAside(
  db: Database,
  reports: readonly Report[],
): Promise<readonly PromiseSettledResult<ReportAnswer>[]> {
  for (;;) {
    try {
      return (await decideLocked(db, reports, "as long as the session")).map(fulfilled);
    } catch (error) {
      if (!isInTheWay(error)) throw error;
      const free = await freeAttempts(db, attemptIdsOf(reports));
      if (free.size > 0) return decideFree(db, reports, free, error);
      const isWaitedFor = reports.every(({ patience }) => patience !== undefined && !patience.signal.aborted);
      if (!isWaitedFor || classifyError(error).kind === "timeout") throw error;
    }
  }
}

/** Refuses the others with `error`. */
async function decideFree(
  db: Database,
  reports: readonly Report[],
  free: ReadonlySet<string>,
  error: unknown,
): Promise<readonly PromiseSettledResult<ReportAnswer>[]> {
  const isFree = ({ attempt }: Report): boolean => free.has(attempt.attemptId);
  const answers = (await decideLocked(db, reports.filter(isFree), "briefly")).values();
  return reports.map((report) =>
    isFree(report) ? fulfilled(answers.next().value ?? null) : { status: "rejected", reason: error },
  );
}

function decideLocked(
  db: Database,
  reports: readonly Report[],
  waits: "briefly" | "as long as the session",
): Promise<readonly ReportAnswer[]> {
  const attemptIds = attemptIdsOf(reports);
  return db.transaction(async (tx) => {
    if (waits === "briefly") await waitBriefly(tx);
    const locked = await lockAttempts(tx, attemptIds);
    // Its agent is told to forget what is not known here; and where nothing was locked, nothing would wait for the standby.
    if (locked.length < attemptIds.length) await tx.query(confirmPrimary);
    const draft = new ReportDraft(locked);
    const answers = reports.map((report) => draft.apply(report));
    const releasedBy = await writeReports(tx, draft);
    return answers.map((answer): ReportAnswer => {
      if (answer?.kind !== "ends") return answer;
      const released = releasedBy.get(answer.applied.taskId) ?? 0;
      return { kind: "ends", applied: { ...answer.applied, released } };
    });
  });
}
