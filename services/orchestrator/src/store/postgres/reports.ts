/**
 * What becomes of attempts: accepted, started, ended, given up. Reports that come together are decided and written together:
 * while one group commits the next one gathers, so that a busy moment costs few commits and a quiet one no delay. A plan that somebody
 * keeps locked delays a group once, and briefly: from then on what is told of it waits aside, until the lock or its wait has ended.
 */
import { classifyError, type Database, isAboutDatabase } from "@headroom/postgres";
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
import { DependentsLockedError, RowLockedError } from "../row-locked.ts";
import { type HoldOptions, holdReports } from "./hold-reports.ts";
import { type AttemptRow, readAttempts } from "./attempt-rows.ts";
import {
  applyInAMoment,
  applyOncePlanIsFree,
  applyReports,
  applyWhatIsFree,
  attemptIdsOf,
  fulfilled,
  rejected,
} from "./decide-reports.ts";
import { freeAttempts, plansInUse } from "./lock-wait.ts";
import { ReportsAside } from "./reports-aside.ts";

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
  let turn = 0;
  const aside = new ReportsAside({
    ...limits,
    // Of a plan that is locked each alone would wait for the same lock as long again.
    isForAll: (error) => isAboutDatabase(error) || (isInTheWay(error) && !(error instanceof RowLockedError)),
    run: (reports) => decideAside(db, reports),
    runShared: (reports) => decideShared(db, reports, (turn += 1)),
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

/**
 * `lockedPlan`: the plan for which a report has to wait; null: it need not. What waits for none is committed before the rest is put aside, and with that what has
 * found that what depends on its task is locked.
 */
async function applyApart(
  db: Database,
  reports: readonly Report[],
  aside: ReportsAside,
  lockedPlan: (report: Report) => string | null,
): Promise<readonly PromiseSettledResult<ReportAnswer | PutAside>[]> {
  const lockedPlans = reports.map(lockedPlan);
  const free = reports.filter((_, index) => lockedPlans[index] === null);
  const outcomes = (free.length === 0 ? [] : await applyReports(db, free)).values();
  const apart = reports.map((report, index) => {
    const planId = lockedPlans[index] ?? null;
    const outcome = planId === null ? (outcomes.next().value ?? fulfilled(null)) : null;
    return { report, planId, outcome };
  });
  const refused = apart.flatMap(({ report, outcome }) => (outcome?.status === "rejected" ? report : []));
  const planOf = refused.length === 0 ? new Map<string, string>() : await readPlans(db, refused);
  return apart.map(({ report, planId, outcome }) => {
    if (outcome?.status === "fulfilled") return outcome;
    const waitsFor = planId ?? planOf.get(report.attempt.attemptId);
    if (report.patience !== undefined && waitsFor !== undefined)
      return fulfilled({ kind: "aside", answer: aside.submit(waitsFor, report) });
    return outcome ?? rejected(new RowLockedError(`plan ${waitsFor} is locked, or tasks of it`));
  });
}

/**
 * A plan in a lane of its own is waited for as long as a session waits for a lock (10 s): so what is told of it is written when that ends, before
 * anybody finds that a lease has.
 */
async function decideAside(
  db: Database,
  reports: readonly Report[],
): Promise<readonly PromiseSettledResult<ReportAnswer>[]> {
  try {
    return await applyOncePlanIsFree(db, reports);
  } catch (error) {
    if (!isInTheWay(error)) throw error;
    const plans = await readPlans(db, reports);
    if ((await plansInUse(db, [...new Set(plans.values())])).size > 0) throw error;
    return applyOncePlanIsFree(db, reports).catch(notItsPlan);
  }
}

/** Plans of the shared lane that are waited for in one group, a quarter of a second each: what is free has been written by then, and is told behind them. */
const maxInTurn = 4;

/**
 * What is free at this moment; then some of the plans that were not are waited for, a moment, and with nothing else in hand. One that is only busy is
 * hardly ever found free by chance, but has its turn where it is waited for. `turn`: how many groups there were; each begins with another plan.
 */
async function decideShared(
  db: Database,
  reports: readonly Report[],
  turn: number,
): Promise<readonly PromiseSettledResult<ReportAnswer>[]> {
  const outcomes = [...(await applyWhatIsFree(db, reports))];
  const refused = outcomes.flatMap((outcome, index) => {
    const isLocked = outcome.status === "rejected" && !(outcome.reason instanceof DependentsLockedError);
    return isLocked ? [index] : [];
  });
  if (refused.length === 0) return outcomes;
  const plans = await readPlans(db, reports);
  const planOf = (index: number): string | undefined => plans.get(reports[index]?.attempt.attemptId ?? "");
  const inOrder = [...new Set(refused.map(planOf))];
  const first = (turn * maxInTurn) % inOrder.length;
  for (const planId of [...inOrder.slice(first), ...inOrder.slice(0, first)].slice(0, maxInTurn)) {
    const indexes = refused.filter((index) => planOf(index) === planId);
    const ofPlan = indexes.flatMap((index) => reports[index] ?? []);
    // What was written before is told, whatever becomes of these.
    const again = await applyInAMoment(db, ofPlan).catch((error: unknown) => ofPlan.map(() => rejected(error)));
    for (const [place, outcome] of again.entries()) outcomes[indexes[place] ?? 0] = outcome;
  }
  return outcomes;
}

/** Something else is locked. */
function notItsPlan(error: unknown): never {
  if (classifyError(error).kind !== "conflict") throw error;
  throw new RowLockedError("rows that a report changes are locked", { cause: error });
}
