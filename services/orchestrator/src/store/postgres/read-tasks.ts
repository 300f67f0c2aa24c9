import { defineStatement, type Queryable } from "@headroom/postgres";
import { type Needs, type PauseReason, type PauseState, TASK_STATES, type TaskState } from "@headroom/scheduling";
import type { PauseRecord, TaskRecord } from "../model.ts";
import type { Listed, Page } from "../port.ts";
import { type AttemptRow, attemptColumns, attemptFromRow, attemptsOfTask } from "./read-attempts.ts";
import { listed, newestFirst } from "./cursor.ts";
import { waitDeadline } from "./late-deadlines.ts";

interface TaskRow {
  readonly task_id: string;
  readonly plan_id: string;
  readonly name: string;
  readonly position: number;
  readonly state: TaskState;
  readonly priority: number;
  readonly needs: Needs;
  readonly argv: readonly string[];
  readonly depends_on: readonly string[];
  readonly max_attempts: number;
  readonly hold_unknown: boolean;
  readonly wait_timeout_ms: number | null;
  readonly expected_duration_ms: number | null;
  readonly outcome_code: string;
  readonly created_at: number;
  readonly created_text: string;
  readonly finished_at: number | null;
  readonly outcome_reason: string;
  readonly cancel_requested: boolean;
  readonly pause_queue_id: string | null;
  readonly pause_status: PauseState | null;
  readonly pause_reason: PauseReason | null;
  readonly pause_sentence: string | null;
  readonly paused_at: number | null;
  readonly pause_resume_after: number | null;
  readonly pause_last_checked: number | null;
  readonly wait_deadline: number | null;
  /** The newest attempt. */
  readonly attempt: AttemptRow | null;
}

const taskColumns = `t.task_id, t.plan_id, t.name, t.position, t.state, t.priority, t.needs, t.command->'argv' AS argv,
           ARRAY(SELECT other.name FROM task_dependencies d JOIN tasks other ON other.task_id = d.depends_on_task_id
                  WHERE d.task_id = t.task_id ORDER BY other.position) AS depends_on,
           t.max_attempts, t.hold_unknown, t.wait_timeout_ms, t.expected_duration_ms, t.outcome_code, t.created_at, t.created_at::text AS created_text, t.finished_at, t.outcome_reason,
           t.cancel_requested_at IS NOT NULL AS cancel_requested,
           q.pause_queue_id, q.status AS pause_status, q.reason AS pause_reason, q.reason_detail AS pause_sentence, q.paused_at,
           q.resume_after AS pause_resume_after, q.last_checked AS pause_last_checked, ${waitDeadline} AS wait_deadline`;

const withPause = `LEFT JOIN pause_queue q ON q.task_id = t.task_id AND q.status = 'waiting'`;
const newestAttempt = `(SELECT to_jsonb(newest) FROM (SELECT ${attemptColumns} FROM attempts a WHERE a.attempt_id = t.attempt_id) AS newest) AS attempt`;

const selectPlanTasks = defineStatement<TaskRow>({
  name: "tasks_of_plan",
  text: `SELECT ${taskColumns}, ${newestAttempt} FROM tasks t ${withPause} WHERE t.plan_id = $1 ORDER BY t.position`,
});

export async function planTasks(db: Queryable, planId: string): Promise<readonly TaskRecord[]> {
  return (await db.query(selectPlanTasks, [planId])).map(taskFromRow);
}

const selectTask = defineStatement<TaskRow>({
  name: "tasks_get",
  text: `SELECT ${taskColumns}, NULL AS attempt FROM tasks t ${withPause} WHERE t.task_id = $1`,
});

export async function getTask(db: Queryable, taskId: string): Promise<TaskRecord | null> {
  const [row] = await db.query(selectTask, [taskId]);
  if (row === undefined) return null;
  return { ...taskFromRow(row), attempts: await attemptsOfTask(db, taskId) };
}

/** A page of each state, read from its own end of the index, merged: what is rare is found without walking past what is not. */
const selectTasks = defineStatement<TaskRow>({
  name: "tasks_list",
  text: `
    WITH page AS (
      SELECT one.task_id
        FROM unnest($1::text[]) AS s(state)
       CROSS JOIN LATERAL (
             SELECT task_id, created_at FROM tasks
              WHERE state = s.state AND (created_at, task_id) < ($2::timestamptz, $3::uuid)
              ORDER BY created_at DESC, task_id DESC
              LIMIT $4) AS one
       ORDER BY one.created_at DESC, one.task_id DESC
       LIMIT $4)
    SELECT ${taskColumns}, ${newestAttempt}
      FROM page JOIN tasks t ON t.task_id = page.task_id ${withPause}
     ORDER BY t.created_at DESC, t.task_id DESC`,
});

const selectTasksOfPlan = defineStatement<TaskRow>({
  name: "tasks_list_of_plan",
  text: `
    SELECT ${taskColumns}, ${newestAttempt}
      FROM tasks t ${withPause}
     WHERE t.plan_id = $5 AND t.state = ANY($1) AND (t.created_at, t.task_id) < ($2::timestamptz, $3::uuid)
     ORDER BY t.created_at DESC, t.task_id DESC
     LIMIT $4`,
});

export async function listTasks(
  db: Queryable,
  filter: { readonly planId: string | null; readonly states: readonly TaskState[] },
  page: Page,
): Promise<Listed<TaskRecord>> {
  const states = filter.states.length === 0 ? TASK_STATES : [...new Set(filter.states)];
  const values = [states, ...newestFirst(page), page.limit + 1];
  const rows =
    filter.planId === null
      ? await db.query(selectTasks, values)
      : await db.query(selectTasksOfPlan, [...values, filter.planId]);
  return listed(rows, page.limit, (row) => [row.created_text, row.task_id], taskFromRow);
}

function taskFromRow(row: TaskRow): TaskRecord {
  return {
    taskId: row.task_id,
    planId: row.plan_id,
    name: row.name,
    position: row.position,
    state: row.state,
    priority: row.priority,
    needs: row.needs,
    argv: row.argv,
    dependsOn: row.depends_on,
    maxAttempts: row.max_attempts,
    holdUnknown: row.hold_unknown,
    createdAtMs: row.created_at,
    finishedAtMs: row.finished_at,
    outcomeReason: row.outcome_reason,
    outcomeCode: row.outcome_code,
    waitTimeoutMs: row.wait_timeout_ms,
    expectedDurationMs: row.expected_duration_ms,
    cancelRequested: row.cancel_requested,
    pause: pauseOf(row),
    attempts: row.attempt === null ? [] : [attemptFromRow(row.attempt)],
  };
}

function pauseOf(row: TaskRow): PauseRecord | null {
  if (row.pause_queue_id === null || row.pause_reason === null || row.paused_at === null) return null;
  return {
    pauseQueueId: row.pause_queue_id,
    reason: row.pause_reason,
    sentence: row.pause_sentence ?? "",
    status: row.pause_status ?? "waiting",
    pausedAtMs: row.paused_at,
    resumeAfterMs: row.pause_resume_after,
    lastCheckedMs: row.pause_last_checked,
    waitDeadlineMs: row.wait_deadline,
  };
}
