import { defineStatement, type Transaction } from "@headroom/postgres";
import { appendEvents } from "./events.ts";

export interface FinishedTask {
  readonly planId: string;
  readonly taskId: string;
  readonly state: "succeeded" | "failed" | "cancelled";
  readonly outcomeReason: string;
}

const finishTasksStatement = defineStatement<{ readonly plan_id: string; readonly unfinished_tasks: number }>({
  name: "tasks_finish",
  text: `
    WITH finished AS (
      UPDATE tasks t
         SET state = f.state, finished_at = now(), outcome_reason = f.outcome_reason, claim_owner = NULL, claim_expires_at = NULL,
             placing_attempt_id = NULL
        FROM unnest($1::uuid[], $2::text[], $3::text[]) AS f(task_id, state, outcome_reason)
       WHERE t.task_id = f.task_id AND t.state NOT IN ('succeeded', 'failed', 'cancelled')
   RETURNING t.plan_id)
    UPDATE plans p SET unfinished_tasks = p.unfinished_tasks - counted.finished
      FROM (SELECT plan_id, count(*)::integer AS finished FROM finished GROUP BY plan_id) AS counted
     WHERE p.plan_id = counted.plan_id
 RETURNING p.plan_id, p.unfinished_tasks`,
});

const finishPlans = defineStatement<{
  readonly plan_id: string;
  readonly outcome: "succeeded" | "failed" | "cancelled";
}>({
  name: "plans_finish",
  text: `
    UPDATE plans p
       SET finished_at = now(), held_at = NULL, held_by = '', hold_reason = '',
           outcome = CASE WHEN EXISTS (SELECT 1 FROM tasks t WHERE t.plan_id = p.plan_id AND t.state = 'failed') THEN 'failed'
                          WHEN EXISTS (SELECT 1 FROM tasks t WHERE t.plan_id = p.plan_id AND t.state = 'cancelled') THEN 'cancelled'
                          ELSE 'succeeded' END
     WHERE p.plan_id = ANY($1::uuid[]) AND p.finished_at IS NULL
 RETURNING p.plan_id, p.outcome`,
});

/** Ends tasks for good, and each plan with the last of its tasks. The plans are locked, so their counts are right. */
export async function finishTasks(tx: Transaction, tasks: readonly FinishedTask[]): Promise<void> {
  const left = await tx.query(finishTasksStatement, [
    tasks.map(({ taskId }) => taskId),
    tasks.map(({ state }) => state),
    tasks.map(({ outcomeReason }) => outcomeReason),
  ]);
  const over = left.filter((row) => row.unfinished_tasks === 0).map((row) => row.plan_id);
  if (over.length === 0) return;
  const ended = await tx.query(finishPlans, [over]);
  await appendEvents(
    tx,
    ended.map((row) => ({ planId: row.plan_id, kind: `PLAN_${row.outcome.toUpperCase()}`, actor: "orchestrator" })),
  );
}
