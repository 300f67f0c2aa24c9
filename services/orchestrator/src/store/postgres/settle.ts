import { type Database, defineStatement, type Transaction } from "@headroom/postgres";
import type { AttemptState, TaskState } from "@headroom/scheduling";
import type { Actor, AppliedVerdict, AttemptResult, AttemptVerdict, DecideAttempt, FencedAttempt } from "../model.ts";
import { findPlanOf } from "./answer.ts";
import { cancelDependents, releaseDependents } from "./dependents.ts";
import { appendEvents } from "./events.ts";
import { finishTasks } from "./finish-tasks.ts";
import { lockPlans } from "./lock-plans.ts";
import { endPauses, insertPauses } from "./pause-rows.ts";

interface SituationRow {
  readonly task_id: string;
  readonly plan_id: string;
  readonly agent_id: string;
  readonly attempt_state: AttemptState;
  readonly attempt_fence: number;
  readonly superseded: boolean;
  readonly unsent: boolean;
  readonly lease_over_ms: number;
  readonly task_state: TaskState;
  readonly task_name: string;
  readonly cancel_requested: boolean;
  readonly retry_on_failure: boolean;
  readonly max_attempts: number;
  readonly runs_used: number;
}

const lockSituation = defineStatement<SituationRow>({
  name: "attempts_lock_situation",
  text: `
    SELECT a.task_id, a.plan_id, a.agent_id, a.state AS attempt_state, a.fence AS attempt_fence, t.attempt_id <> a.attempt_id AS superseded,
           a.sent_at IS NULL AS unsent,
           (extract(epoch FROM now() - a.lease_expires_at) * 1000)::double precision AS lease_over_ms,
           t.state AS task_state, t.name AS task_name, t.cancel_requested_at IS NOT NULL AS cancel_requested,
           t.retry_on_failure, t.max_attempts, t.runs_used
      FROM attempts a JOIN tasks t ON t.task_id = a.task_id
     WHERE a.attempt_id = $1
       FOR UPDATE OF a, t`,
});

/** Facts of an attempt's end, as far as somebody told them. */
type Told = Pick<AttemptResult, "exitCode" | "signal" | "sentence" | "startedAtMs" | "finishedAtMs" | "used"> & {
  readonly reason: string;
};

const NOTHING_TOLD: Omit<Told, "reason"> = {
  exitCode: null,
  signal: "",
  sentence: "",
  startedAtMs: null,
  finishedAtMs: null,
  used: null,
};

interface Settlement {
  readonly attempt: FencedAttempt;
  readonly decide: DecideAttempt;
  readonly told: Told;
  readonly actor: Actor;
  /** Whether what was found at first still holds, now that the rows are locked. */
  readonly stillSo: (row: SituationRow) => boolean;
}

const endAttempt = defineStatement({
  name: "attempts_end",
  text: `
    UPDATE attempts
       SET state = $2, exit_code = $3, signal = $4, reason = $5, sentence = $6, used = $7::jsonb,
           started_at = coalesce(started_at, to_timestamp($8 / 1000.0)),
           finished_at = coalesce(to_timestamp($9 / 1000.0), now())
     WHERE attempt_id = $1`,
});

const countRefused = defineStatement({
  name: "attempts_count_refused",
  text: `UPDATE attempts SET refused_results = refused_results + 1 WHERE attempt_id = $1`,
});

const requeueTask = defineStatement({
  name: "tasks_requeue",
  text: `
    UPDATE tasks SET state = 'paused', runs_used = runs_used - $2, placing_attempt_id = NULL, claim_owner = NULL, claim_expires_at = NULL
     WHERE task_id = $1`,
});

/** Loads what the decision reads, locked; decides; applies. Null: no such attempt, or no longer so. */
async function settle(db: Database, settlement: Settlement): Promise<AppliedVerdict | null> {
  const { attempt, decide } = settlement;
  const planId = await findPlanOf(db, attempt.attemptId);
  if (planId === null) return null;
  return db.transaction(async (tx) => {
    await lockPlans(tx, [planId]);
    const [row] = await tx.query(lockSituation, [attempt.attemptId]);
    if (row === undefined || !settlement.stillSo(row)) return null;
    const verdict = decide({
      attemptState: row.attempt_state,
      attemptFence: row.attempt_fence,
      superseded: row.superseded,
      taskState: row.task_state,
      taskName: row.task_name,
      cancelRequested: row.cancel_requested,
      retryOnFailure: row.retry_on_failure,
      maxAttempts: row.max_attempts,
      runsUsed: row.runs_used,
    });
    const released = await applyVerdict(tx, row, verdict, settlement);
    return { verdict, planId, taskId: row.task_id, released };
  });
}

async function applyVerdict(
  tx: Transaction,
  row: SituationRow,
  verdict: AttemptVerdict,
  settlement: Settlement,
): Promise<number> {
  const { attempt, told, actor } = settlement;
  const about = {
    planId: row.plan_id,
    taskId: row.task_id,
    taskName: row.task_name,
    attemptId: attempt.attemptId,
    agentId: row.agent_id,
    actor,
  };
  switch (verdict.kind) {
    case "repeat":
      return 0;
    case "refused":
      await tx.execute(countRefused, [attempt.attemptId]);
      await appendEvents(tx, [{ ...about, kind: "TASK_RESULT_REFUSED", sentence: verdict.sentence }]);
      return 0;
    case "final":
      await writeEnd(tx, attempt, verdict.attemptState, told);
      await appendEvents(tx, [
        {
          ...about,
          kind: verdict.eventKind,
          fromState: row.task_state,
          toState: verdict.taskState,
          sentence: verdict.sentence,
        },
      ]);
      return finish(tx, row, verdict);
    case "requeue":
      await writeEnd(tx, attempt, verdict.attemptState, told);
      await tx.execute(requeueTask, [row.task_id, verdict.runGivenBack ? 1 : 0]);
      await endPauses(tx, [row.task_id], "resumed");
      await insertPauses(tx, [
        {
          taskId: row.task_id,
          reason: verdict.reason,
          sentence: verdict.sentence,
          blocked: false,
          resumeAfterMs: verdict.resumeAfterMs,
        },
      ]);
      await appendEvents(tx, [
        { ...about, kind: verdict.eventKind, fromState: row.task_state, sentence: verdict.sentence },
        {
          ...about,
          kind: "TASK_PAUSED",
          fromState: row.task_state,
          toState: "paused",
          pauseReason: verdict.reason,
          sentence: verdict.sentence,
        },
      ]);
      return 0;
  }
}

async function finish(
  tx: Transaction,
  row: SituationRow,
  verdict: Extract<AttemptVerdict, { kind: "final" }>,
): Promise<number> {
  await finishTasks(tx, row.plan_id, [row.task_id], verdict.taskState, verdict.sentence);
  if (verdict.taskState === "succeeded") return releaseDependents(tx, row.plan_id, row.task_id);
  await cancelDependents(
    tx,
    row.plan_id,
    [row.task_id],
    `it depends on "${row.task_name}", which ${verdict.taskState === "failed" ? "failed" : "was cancelled"}`,
  );
  return 0;
}

function writeEnd(tx: Transaction, attempt: FencedAttempt, state: AttemptState, told: Told): Promise<number> {
  return tx.execute(endAttempt, [
    attempt.attemptId,
    state,
    told.exitCode,
    told.signal,
    told.reason,
    told.sentence,
    told.used === null ? null : JSON.stringify(told.used),
    told.startedAtMs,
    told.finishedAtMs,
  ]);
}

/** A result that an agent reports. A lower fence than the attempt's is left to the decision, which refuses it. */
export function finishAttempt(
  db: Database,
  result: AttemptResult,
  decide: DecideAttempt,
): Promise<AppliedVerdict | null> {
  return settle(db, {
    attempt: result,
    decide,
    told: { ...result, reason: result.outcome.toUpperCase() },
    actor: "agent",
    stillSo: (row) => row.agent_id === result.agentId,
  });
}

export function undeliver(
  db: Database,
  attempt: FencedAttempt,
  agentId: string,
  decide: DecideAttempt,
): Promise<AppliedVerdict | null> {
  return settle(db, {
    attempt,
    decide,
    told: { ...NOTHING_TOLD, reason: "UNDELIVERED" },
    actor: "agent",
    stillSo: (row) =>
      row.agent_id === agentId && row.attempt_state === "assigned" && row.attempt_fence === attempt.fence,
  });
}

export function takeBackUnsent(
  db: Database,
  attempt: FencedAttempt,
  decide: DecideAttempt,
): Promise<AppliedVerdict | null> {
  return settle(db, {
    attempt,
    decide,
    told: { ...NOTHING_TOLD, reason: "UNDELIVERED" },
    actor: "orchestrator",
    stillSo: (row) => row.attempt_state === "assigned" && row.unsent && !row.superseded,
  });
}

export function loseAttempt(
  db: Database,
  attempt: FencedAttempt,
  graceMs: number,
  decide: DecideAttempt,
): Promise<AppliedVerdict | null> {
  return settle(db, {
    attempt,
    decide,
    told: { ...NOTHING_TOLD, reason: "LOST" },
    actor: "orchestrator",
    stillSo: (row) =>
      (row.attempt_state === "assigned" || row.attempt_state === "running") && row.lease_over_ms >= graceMs,
  });
}
