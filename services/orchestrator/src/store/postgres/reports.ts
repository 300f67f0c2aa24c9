/**
 * What becomes of attempts: accepted, started, ended, given up. Reports that come together are decided and written together:
 * while one group commits the next one gathers, so that a busy moment costs few commits and a quiet one no delay.
 */
import { classifyError, confirmPrimary, type Database } from "@headroom/postgres";
import { unavailable } from "@headroom/rpc";
import { Grouped } from "@headroom/runtime";
import type { Actor, AppliedVerdict, AttemptKnown, AttemptResult, DecideAttempt, FencedAttempt } from "../model.ts";
import { type HoldOptions, holdReports } from "./hold-reports.ts";
import { type AttemptRow, lockAttempts, readAttempts } from "./attempt-rows.ts";
import { ReportDraft } from "./report-draft.ts";
import { fitsAtOnce, writeAtOnce } from "./write-at-once.ts";
import { writeReports } from "./write-reports.ts";

/** Facts of an attempt's end, as far as somebody told them. */
export type Told = Pick<AttemptResult, "exitCode" | "signal" | "sentence" | "startedAtMs" | "finishedAtMs" | "used"> & {
  readonly reason: string;
};

export type Report =
  /** `startedAtMs` null: only accepted so far. */
  | {
      readonly kind: "runs";
      readonly attempt: FencedAttempt;
      readonly agentId: string;
      readonly startedAtMs: number | null;
    }
  | {
      readonly kind: "ends";
      readonly attempt: FencedAttempt;
      readonly decide: DecideAttempt;
      readonly told: Told;
      readonly actor: Actor;
      /** Whether what was found at first still holds, now that the rows are locked. */
      readonly stillSo: (row: AttemptRow) => boolean;
    };

/** Null: it is not so (any more), and nothing was written. */
export type ReportAnswer =
  | { readonly kind: "runs"; readonly attempt: AttemptKnown }
  | { readonly kind: "ends"; readonly applied: AppliedVerdict }
  | null;

/** Bound of a transaction: locks are held and replies wait until it is over. */
const maxGroup = 256;
const maxWaiting = 20_000;

export type SubmitReport = (report: Report) => Promise<ReportAnswer>;

export function createReports(db: Database, hold?: HoldOptions): SubmitReport {
  const groups = new Grouped<Report, ReportAnswer>({
    max: maxGroup,
    maxWaiting,
    makeBusyError: () =>
      unavailable(
        "DATABASE_BUSY",
        "more reports of agents wait than the database takes; they are to be sent again",
        1_000,
      ),
    // The failure of one that the database cannot take must not be that of the others.
    isForAll: (error) => classifyError(error).kind === "unavailable",
    run: async (reports) =>
      (await applyReports(db, reports)).map((value): PromiseFulfilledResult<ReportAnswer> => ({
        status: "fulfilled",
        value,
      })),
  });
  const submit: SubmitReport = (report) => groups.submit(report);
  return hold === undefined ? submit : holdReports(submit, () => groups.isBusy, hold);
}

/**
 * Most groups need no more than a look and one statement, which writes only if what was seen still stands. The others take a transaction
 * that locks first.
 */
async function applyReports(db: Database, reports: readonly Report[]): Promise<readonly ReportAnswer[]> {
  const attemptIds = [...new Set(reports.map(({ attempt }) => attempt.attemptId))];
  const seen = await readAttempts(db, attemptIds);
  if (seen.length === attemptIds.length) {
    const draft = new ReportDraft(seen);
    const answers = reports.map((report) => draft.apply(report));
    if (fitsAtOnce(draft) && (await writeAtOnce(db, draft))) return answers;
  }
  return db.transaction(async (tx) => {
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
