import { defineStatement, type Transaction } from "@headroom/postgres";
import { attemptChange, attemptChangeColumns, setAttempt } from "./attempt-changes.ts";
import { cancelDependents, releaseDependents } from "./dependents.ts";
import { appendEvents } from "./events.ts";
import { finishTasks } from "./finish-tasks.ts";
import { endPauses, insertPauses } from "./pause-rows.ts";
import type { AttemptChange, AttemptEnd, ReportDraft } from "./report-draft.ts";

const writeAttempts = defineStatement({
  name: "attempts_report",
  text: `
    WITH running AS (
      UPDATE tasks SET state = 'running' WHERE task_id = ANY($2::uuid[]) AND state <> 'running')
    UPDATE attempts a
       SET ${setAttempt}
      FROM jsonb_to_recordset($1::jsonb) AS c(
           ${attemptChangeColumns})
     WHERE a.attempt_id = c.attempt_id`,
});

const requeueTasks = defineStatement({
  name: "tasks_requeue",
  text: `
    UPDATE tasks t
       SET state = 'paused', runs_used = t.runs_used - r.given_back, placing_attempt_id = NULL, claim_owner = NULL, claim_expires_at = NULL
      FROM unnest($1::uuid[], $2::integer[]) AS r(task_id, given_back)
     WHERE t.task_id = r.task_id`,
});

type Ended<Kind extends AttemptEnd["verdict"]["kind"]> = AttemptChange & {
  readonly verdict: Extract<AttemptEnd["verdict"], { readonly kind: Kind }>;
};

/** Writes what a group of reports has made of its attempts. Answers how many tasks each finished one has released. */
export async function writeReports(tx: Transaction, draft: ReportDraft): Promise<ReadonlyMap<string, number>> {
  const changed = draft.changes.filter(({ runs, refusedResults, end }) => runs || refusedResults > 0 || end !== null);
  const running = changed.filter(({ runs, end }) => runs && end === null).map(({ row }) => row.task_id);
  if (changed.length > 0) await tx.execute(writeAttempts, [JSON.stringify(changed.map(attemptChange)), running]);
  await requeue(
    tx,
    changed.flatMap((change) =>
      change.end?.verdict.kind === "requeue" ? [{ ...change, verdict: change.end.verdict }] : [],
    ),
  );
  // What happened to the tasks stands in the history before what follows from it for others and for their plans.
  await appendEvents(tx, draft.events);
  return finish(
    tx,
    changed.flatMap((change) =>
      change.end?.verdict.kind === "final" ? [{ ...change, verdict: change.end.verdict }] : [],
    ),
  );
}

async function requeue(tx: Transaction, ended: readonly Ended<"requeue">[]): Promise<void> {
  if (ended.length === 0) return;
  const taskIds = ended.map(({ row }) => row.task_id);
  await tx.execute(requeueTasks, [taskIds, ended.map(({ verdict }) => (verdict.runGivenBack ? 1 : 0))]);
  await endPauses(tx, taskIds, "resumed");
  await insertPauses(
    tx,
    ended.map(({ row, verdict }) => ({
      taskId: row.task_id,
      reason: verdict.reason,
      sentence: verdict.sentence,
      blocked: false,
      resumeAfterMs: verdict.resumeAfterMs,
    })),
  );
}

async function finish(tx: Transaction, ended: readonly Ended<"final">[]): Promise<ReadonlyMap<string, number>> {
  const released = new Map<string, number>();
  if (ended.length === 0) return released;
  for (const { row, verdict } of ended) {
    if (!row.has_dependents || verdict.taskState !== "succeeded") continue;
    released.set(row.task_id, await releaseDependents(tx, row.plan_id, row.task_id));
  }
  for (const { row, verdict } of ended) {
    if (!row.has_dependents || verdict.taskState === "succeeded") continue;
    const why = `it depends on "${row.task_name}", which ${verdict.taskState === "failed" ? "failed" : "was cancelled"}`;
    await cancelDependents(tx, row.plan_id, [row.task_id], why);
  }
  await finishTasks(
    tx,
    ended.map(({ row, verdict }) => ({
      planId: row.plan_id,
      taskId: row.task_id,
      state: verdict.taskState,
      outcomeReason: verdict.sentence,
    })),
  );
  return released;
}
