import { defineStatement, type Transaction } from "@headroom/postgres";
import type { PauseReason } from "@headroom/scheduling";

export interface NewPauseRow {
  readonly taskId: string;
  readonly reason: PauseReason;
  readonly sentence: string;
  readonly blocked: boolean;
  /** From now, in ms; absent: the task's own `resume_after`, where it has one. */
  readonly resumeAfterMs?: number | null;
}

/** Why a task of a held plan waits, for a person; `plans` gives the name under which the statement knows the table. */
export function holdSentence(plans: string): string {
  return `'Its plan is held' || CASE WHEN ${plans}.held_by = '' THEN '' ELSE ' by ' || ${plans}.held_by END
               || CASE WHEN ${plans}.hold_reason = '' THEN '.' ELSE ': ' || ${plans}.hold_reason END`;
}

// `at` is read once per row, after the sort: rows of one transaction keep the order of the plan, and a row that was looked
// at in vain when it was made was checked at the moment it was paused, not before.
const insertPauseRows = defineStatement({
  name: "pause_queue_insert",
  text: `
    INSERT INTO pause_queue (task_id, plan_id, work_plan_json, paused_at, resume_after, last_checked, reason, reason_detail, blocked, priority, shape_key, uses_gpu,
                             wait_deadline, rank, later)
    SELECT n.task_id, n.plan_id, n.work_plan_json, n.at, n.resume_after,
           CASE WHEN n.blocked OR n.is_held OR n.reason = 'RESUME_AFTER' THEN NULL ELSE n.at END,
           CASE WHEN n.is_held THEN 'HELD' ELSE n.reason END, CASE WHEN n.is_held THEN n.hold_sentence ELSE n.sentence END,
           n.blocked OR n.is_held, n.priority, n.shape_key, n.uses_gpu,
           CASE WHEN NOT n.blocked AND NOT n.is_held
                THEN greatest(n.at, n.resume_after) + n.wait_timeout_ms * interval '1 millisecond' END,
           n.rank, coalesce(n.resume_after > now(), false)
      FROM (
        SELECT t.task_id, t.plan_id, clock_timestamp() AS at,
               jsonb_build_object('plan_name', pl.name, 'task_name', t.name, 'position', t.position, 'command', t.command, 'needs', t.needs,
                 'priority', t.priority, 'resume_after', t.resume_after, 'max_attempts', t.max_attempts, 'retry_on_failure', t.retry_on_failure, 'hold_unknown', t.hold_unknown,
                 'run_timeout_ms', t.run_timeout_ms, 'wait_timeout_ms', t.wait_timeout_ms, 'work_lease_ms', t.work_lease_ms, 'expected_duration_ms', t.expected_duration_ms,
                 'depends_on', (SELECT coalesce(jsonb_agg(other.name ORDER BY other.position), '[]'::jsonb)
                                  FROM task_dependencies d JOIN tasks other ON other.task_id = d.depends_on_task_id
                                 WHERE d.task_id = t.task_id)) AS work_plan_json,
               CASE WHEN p."resumeAfterMs" IS NULL THEN t.resume_after
                    ELSE now() + p."resumeAfterMs" * interval '1 millisecond' END AS resume_after,
               p.reason, p.sentence, p.blocked, t.priority, t.shape_key, t.uses_gpu, t.wait_timeout_ms, t.rank,
               -- What waits for a dependency says so, also in a plan that is held: it is held once that has ended.
               pl.held_at IS NOT NULL AND p.reason <> 'DEPENDENCY_PENDING' AS is_held, ${holdSentence("pl")} AS hold_sentence
          FROM jsonb_to_recordset($1::jsonb) AS p("taskId" uuid, reason text, sentence text, blocked boolean, "resumeAfterMs" double precision)
          JOIN tasks t ON t.task_id = p."taskId"
          JOIN plans pl ON pl.plan_id = t.plan_id
         ORDER BY t.position) n`,
});

/** Puts tasks into the queue; each must be `paused` and have no waiting row. Of a plan that is held they are held. */
export async function insertPauses(tx: Transaction, rows: readonly NewPauseRow[]): Promise<void> {
  if (rows.length > 0) await tx.execute(insertPauseRows, [JSON.stringify(rows)]);
}

const endPauseRows = defineStatement({
  name: "pause_queue_end",
  text: `
    UPDATE pause_queue
       SET status = $2, resumed_at = CASE WHEN $2 = 'resumed' THEN now() ELSE resumed_at END,
           last_checked = CASE WHEN $2 = 'resumed' THEN now() ELSE last_checked END
     WHERE task_id = ANY($1::uuid[]) AND status = 'waiting'`,
});

/** Ends the waiting rows of these tasks, where there are any. */
export async function endPauses(
  tx: Transaction,
  taskIds: readonly string[],
  status: "resumed" | "cancelled" | "failed",
): Promise<void> {
  if (taskIds.length > 0) await tx.execute(endPauseRows, [taskIds, status]);
}
