import { defineStatement, type Transaction } from "@headroom/postgres";
import { appendEvents } from "./events.ts";

const finishTasksStatement = defineStatement({
  name: "tasks_finish",
  text: `
    UPDATE tasks
       SET state = $2, finished_at = now(), outcome_reason = $3, claim_owner = NULL, claim_expires_at = NULL, placing_attempt_id = NULL
     WHERE task_id = ANY($1::uuid[]) AND state NOT IN ('succeeded', 'failed', 'cancelled')`,
});

const countDown = defineStatement<{ readonly unfinished_tasks: number }>({
  name: "plans_count_down",
  text: `UPDATE plans SET unfinished_tasks = unfinished_tasks - $2 WHERE plan_id = $1 RETURNING unfinished_tasks`,
});

const finishPlan = defineStatement<{ readonly outcome: "succeeded" | "failed" | "cancelled" }>({
  name: "plans_finish",
  text: `
    UPDATE plans
       SET finished_at = now(), held_at = NULL, held_by = '', hold_reason = '',
           outcome = CASE WHEN EXISTS (SELECT 1 FROM tasks WHERE plan_id = $1 AND state = 'failed') THEN 'failed'
                          WHEN EXISTS (SELECT 1 FROM tasks WHERE plan_id = $1 AND state = 'cancelled') THEN 'cancelled'
                          ELSE 'succeeded' END
     WHERE plan_id = $1 AND finished_at IS NULL
 RETURNING outcome`,
});

/** Ends tasks for good, and their plan with the last of them. The plan is locked, so its count is right. */
export async function finishTasks(
  tx: Transaction,
  planId: string,
  taskIds: readonly string[],
  state: "succeeded" | "failed" | "cancelled",
  outcomeReason: string,
): Promise<void> {
  const finished = await tx.execute(finishTasksStatement, [taskIds, state, outcomeReason]);
  if (finished === 0) return;
  const [plan] = await tx.query(countDown, [planId, finished]);
  if (plan?.unfinished_tasks !== 0) return;
  const [ended] = await tx.query(finishPlan, [planId]);
  if (ended === undefined) return;
  await appendEvents(tx, [{ planId, kind: `PLAN_${ended.outcome.toUpperCase()}`, actor: "orchestrator" }]);
}
