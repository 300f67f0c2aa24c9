import { defineStatement, type Transaction } from "@headroom/postgres";
import type { PauseReason, TaskState } from "@headroom/scheduling";
import { appendEvents } from "./events.ts";
import { finishTasks } from "./finish-tasks.ts";
import { endPauses, holdSentence } from "./pause-rows.ts";

const countDownDependents = defineStatement<{ readonly task_id: string; readonly name: string }>({
  name: "tasks_count_down_dependents",
  text: `
    UPDATE tasks t SET depends_remaining = t.depends_remaining - 1
      FROM task_dependencies d
     WHERE d.depends_on_task_id = $1 AND t.task_id = d.task_id AND t.state = 'paused'
 RETURNING t.task_id, t.name, t.depends_remaining`,
});

/** Rows are looked up by their keys, whatever PostgreSQL expects of the tables: it may know nothing of a plan yet of which 10,000 tasks depend on one. */
const unblock = defineStatement<{ readonly task_id: string; readonly reason: PauseReason }>({
  name: "pause_queue_unblock",
  text: `
    WITH released AS MATERIALIZED (
      SELECT waiting.pause_queue_id, t.wait_timeout_ms
        FROM unnest($1::uuid[]) AS dependent(task_id)
       CROSS JOIN LATERAL (
             SELECT t.wait_timeout_ms FROM tasks t WHERE t.task_id = dependent.task_id AND t.depends_remaining = 0 OFFSET 0) AS t
       CROSS JOIN LATERAL (
             SELECT q.pause_queue_id FROM pause_queue q
              WHERE q.task_id = dependent.task_id AND q.status = 'waiting' AND q.reason = 'DEPENDENCY_PENDING' OFFSET 0) AS waiting)
    UPDATE pause_queue q
       SET blocked = pl.held_at IS NOT NULL, turn_since = clock_timestamp(),
           reason = CASE WHEN pl.held_at IS NOT NULL THEN 'HELD'
                         WHEN q.resume_after > now() THEN 'RESUME_AFTER' ELSE 'AWAITING_TURN' END,
           reason_detail = CASE WHEN pl.held_at IS NOT NULL THEN ${holdSentence("pl")}
                                WHEN q.resume_after > now() THEN 'Its resume_after lies ahead.' ELSE 'All that it depends on has succeeded.' END,
           wait_deadline = CASE WHEN pl.held_at IS NULL
                                THEN greatest(clock_timestamp(), q.resume_after) + released.wait_timeout_ms * interval '1 millisecond' END
      FROM released, plans pl
     WHERE q.pause_queue_id = released.pause_queue_id AND pl.plan_id = q.plan_id
 RETURNING q.task_id, q.reason`,
});

/** A task has succeeded: those that waited for it alone may be placed. Answers how many. */
export async function releaseDependents(tx: Transaction, planId: string, taskId: string): Promise<number> {
  const dependents = await tx.query(countDownDependents, [taskId]);
  if (dependents.length === 0) return 0;
  const names = new Map(dependents.map((row) => [row.task_id, row.name]));
  const released = await tx.query(unblock, [dependents.map((row) => row.task_id)]);
  await appendEvents(
    tx,
    released.map((row) => ({
      planId,
      taskId: row.task_id,
      taskName: names.get(row.task_id) ?? "",
      kind: "TASK_DEPENDENCIES_MET",
      fromState: "paused",
      toState: "paused",
      pauseReason: row.reason,
      actor: "orchestrator",
    })),
  );
  return released.length;
}

/**
 * What waits for a task that ends, as far as it has not ended itself: whatever depends on that has ended with it, and a plan with a hundred thousand
 * dependencies is not walked through again for each of its tasks. Each is looked up by its key, whatever PostgreSQL knows of the tables.
 */
export const openAfter = `
        CROSS JOIN LATERAL (
          SELECT d.task_id FROM task_dependencies d WHERE d.depends_on_task_id = ended.task_id OFFSET 0) AS next
        CROSS JOIN LATERAL (
          SELECT FROM tasks t
           WHERE t.task_id = next.task_id AND t.state NOT IN ('succeeded', 'failed', 'cancelled') OFFSET 0) AS open`;

const selectDependents = defineStatement<{
  readonly task_id: string;
  readonly name: string;
  readonly state: TaskState;
}>({
  name: "tasks_select_dependents",
  text: `
    WITH RECURSIVE dependents(task_id) AS (
      SELECT next.task_id FROM unnest($1::uuid[]) AS ended(task_id) ${openAfter}
      UNION
      SELECT next.task_id FROM dependents AS ended ${openAfter})
    SELECT t.task_id, t.name, t.state
      FROM dependents JOIN tasks t ON t.task_id = dependents.task_id
     WHERE t.state NOT IN ('succeeded', 'failed', 'cancelled')
     ORDER BY t.position`,
});

/** Told apart from what somebody cancelled: a retry of what failed brings these back. */
const markDependencyNotMet = defineStatement({
  name: "tasks_mark_dependency_not_met",
  text: `UPDATE tasks SET outcome_code = 'DEPENDENCY_NOT_MET' WHERE task_id = ANY($1::uuid[])`,
});

/** Tasks did not succeed: all that depends on them, directly or not, is cancelled. None of it can have started. */
export async function cancelDependents(
  tx: Transaction,
  planId: string,
  taskIds: readonly string[],
  why: string,
): Promise<number> {
  const dependents = await tx.query(selectDependents, [taskIds]);
  if (dependents.length === 0) return 0;
  const ids = dependents.map((row) => row.task_id);
  await endPauses(tx, ids, "cancelled");
  await appendEvents(
    tx,
    dependents.map((row) => ({
      planId,
      taskId: row.task_id,
      taskName: row.name,
      kind: "TASK_CANCELLED",
      fromState: row.state,
      toState: "cancelled",
      sentence: why,
      actor: "orchestrator",
    })),
  );
  await finishTasks(
    tx,
    ids.map((taskId) => ({ planId, taskId, state: "cancelled", outcomeReason: why })),
  );
  await tx.execute(markDependencyNotMet, [ids]);
  return ids.length;
}
