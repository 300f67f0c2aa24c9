import { type Database, defineStatement } from "@headroom/postgres";
import type { ClaimedTask, NewPlan, NewTask } from "../model.ts";
import type { Claimer } from "../port.ts";

export interface PlanToInsert {
  readonly plan: NewPlan;
  readonly claimer: Claimer;
  /** So many of the tasks that do not wait are claimed at once: no other replica ever sees them unclaimed. */
  readonly claimLimit: number;
}

interface ClaimedRow {
  readonly task_id: string;
  readonly attempt_id: string;
  readonly rank: number;
  readonly created_at: number;
}

/**
 * All rows of some plans in one statement, which is one round trip and one transaction. `at` is read once per row, after the sort: rows
 * of one plan keep its order, and a row that was looked at in vain when it was made was checked at the moment it was paused, not
 * before. The new plan rows are ours until we commit: that is the lock of each plan.
 */
const insertStatement = defineStatement<ClaimedRow>({
  name: "plans_insert",
  text: `
    WITH plan AS MATERIALIZED (
      SELECT * FROM jsonb_to_recordset($1::jsonb) AS p(
             number integer, plan_id uuid, name text, namespace text, priority integer, labels jsonb, request_id uuid, request_hash text,
             tasks integer, call_id text, traceparent text, point_s double precision, claim_owner uuid, claim_ms double precision)),
    given AS MATERIALIZED (
      SELECT t.*, p.plan_id, p.name AS plan_name, p.call_id, p.traceparent, p.claim_owner, now() + p.claim_ms * interval '1 millisecond' AS claim_expires_at,
             to_timestamp(t.resume_after_ms / 1000.0) AS resume_after,
             extract(epoch FROM now()) + t.position * 1e-6 - t.priority * p.point_s AS rank
        FROM jsonb_to_recordset($2::jsonb) AS t(
             plan integer, task_id uuid, name text, position integer, priority integer, needs jsonb, shape_key text, uses_gpu boolean,
             command jsonb, resume_after_ms double precision, depends_on jsonb, depends_remaining integer, max_attempts integer,
             retry_on_failure boolean, hold_unknown boolean, run_timeout_ms bigint, work_lease_ms bigint, expected_duration_ms bigint,
             wait_timeout_ms bigint, claims boolean, reason text, sentence text, blocked boolean)
        JOIN plan p ON p.number = t.plan),
    accepted AS (
      INSERT INTO plans (plan_id, name, namespace, priority, labels, request_id, request_hash, total_tasks, unfinished_tasks, traceparent)
      SELECT plan_id, name, namespace, priority, labels, request_id, request_hash, tasks, tasks, traceparent FROM plan),
    made AS (
      INSERT INTO tasks (task_id, plan_id, name, position, state, priority, needs, shape_key, uses_gpu, command, resume_after,
                         depends_remaining, max_attempts, retry_on_failure, hold_unknown, run_timeout_ms, work_lease_ms,
                         expected_duration_ms, wait_timeout_ms, rank, claim_owner, claim_expires_at, fence, placing_attempt_id)
      SELECT task_id, plan_id, name, position, CASE WHEN reason IS NULL THEN 'pending' ELSE 'paused' END, priority, needs, shape_key,
             uses_gpu, command, resume_after, depends_remaining, max_attempts, retry_on_failure, hold_unknown, run_timeout_ms,
             work_lease_ms, expected_duration_ms, wait_timeout_ms, rank, CASE WHEN claims THEN claim_owner END,
             CASE WHEN claims THEN claim_expires_at END, CASE WHEN claims THEN 1 ELSE 0 END, CASE WHEN claims THEN gen_random_uuid() END
        FROM given
   RETURNING task_id, placing_attempt_id AS attempt_id, rank, created_at),
    linked AS (
      INSERT INTO task_dependencies (task_id, depends_on_task_id)
      SELECT d.task_id, d.depends_on FROM unnest($3::uuid[], $4::uuid[]) AS d(task_id, depends_on)),
    queued AS (
      INSERT INTO pause_queue (task_id, plan_id, work_plan_json, paused_at, resume_after, last_checked, reason, reason_detail, blocked,
                               priority, shape_key, uses_gpu, wait_deadline, rank, later)
      SELECT n.task_id, n.plan_id, n.work_plan_json, n.at, n.resume_after,
             CASE WHEN NOT n.blocked AND n.reason <> 'RESUME_AFTER' THEN n.at END, n.reason, n.sentence, n.blocked, n.priority, n.shape_key,
             n.uses_gpu, CASE WHEN NOT n.blocked THEN greatest(n.at, n.resume_after) + n.wait_timeout_ms * interval '1 millisecond' END,
             n.rank, coalesce(n.resume_after > now(), false)
        FROM (SELECT g.*, clock_timestamp() AS at,
                     jsonb_build_object('plan_name', plan_name, 'task_name', name, 'position', position, 'command', command, 'needs', needs,
                       'priority', priority, 'resume_after', resume_after, 'max_attempts', max_attempts, 'retry_on_failure', retry_on_failure,
                       'hold_unknown', hold_unknown, 'run_timeout_ms', run_timeout_ms, 'wait_timeout_ms', wait_timeout_ms,
                       'work_lease_ms', work_lease_ms, 'expected_duration_ms', expected_duration_ms, 'depends_on', depends_on) AS work_plan_json
                FROM given g WHERE reason IS NOT NULL
               ORDER BY plan, position) AS n),
    told AS (
      INSERT INTO events (plan_id, task_id, task_name, kind, from_state, to_state, pause_reason, sentence, actor, request_id, traceparent)
      SELECT plan_id, task_id, task_name, kind, from_state, to_state, pause_reason, sentence, actor, call_id, traceparent
        FROM (SELECT number, -1 AS position, plan_id, NULL::uuid AS task_id, '' AS task_name, 'PLAN_ACCEPTED' AS kind, NULL AS from_state,
                     NULL AS to_state, NULL AS pause_reason, 'accepted with ' || tasks || CASE tasks WHEN 1 THEN ' task' ELSE ' tasks' END AS sentence,
                     'planner' AS actor, call_id, traceparent
                FROM plan
               UNION ALL
              SELECT plan, position, plan_id, task_id, name, 'TASK_PAUSED', 'pending', 'paused', reason, sentence, 'planner', call_id, traceparent
                FROM given WHERE reason IS NOT NULL) AS happened
       ORDER BY number, position)
    SELECT task_id, attempt_id, rank, created_at FROM made WHERE attempt_id IS NOT NULL`,
});

/** Answers for each plan what was claimed of it, in the order of the queue. Throws when one of them cannot be inserted: then none is. */
export async function insertPlans(
  db: Database,
  given: readonly PlanToInsert[],
): Promise<readonly (readonly ClaimedTask[])[]> {
  const pairs = given.flatMap(({ plan }) =>
    plan.tasks.flatMap((task) => task.dependsOnTaskIds.map((dependsOn) => [task.taskId, dependsOn] as const)),
  );
  const rows = await db.query(insertStatement, [
    JSON.stringify(given.map(planRow)),
    JSON.stringify(given.flatMap(taskRows)),
    pairs.map(([taskId]) => taskId),
    pairs.map(([, dependsOn]) => dependsOn),
  ]);
  if (rows.length === 0) return given.map(() => []);
  const byTask = new Map(rows.map((row) => [row.task_id, row]));
  return given.map(({ plan }) =>
    plan.tasks
      .flatMap((task) => {
        const row = byTask.get(task.taskId);
        return row === undefined ? [] : [claimedTask(plan, task, row)];
      })
      .sort((a, b) => a.rank - b.rank || (a.taskId < b.taskId ? -1 : 1)),
  );
}

function planRow({ plan, claimer }: PlanToInsert, number: number): Record<string, unknown> {
  return {
    number,
    plan_id: plan.planId,
    name: plan.name,
    namespace: plan.namespace,
    priority: plan.priority,
    labels: plan.labels,
    request_id: plan.requestId,
    request_hash: plan.requestHash,
    tasks: plan.tasks.length,
    call_id: plan.call.requestId,
    traceparent: plan.call.traceparent,
    point_s: plan.pointMs / 1_000,
    claim_owner: claimer.owner,
    claim_ms: claimer.leaseMs,
  };
}

function taskRows({ plan: { tasks }, claimLimit }: PlanToInsert, plan: number): readonly Record<string, unknown>[] {
  const inOrder = tasks
    .filter(({ pause }) => pause === null)
    .sort((a, b) => b.priority - a.priority || a.position - b.position);
  const claims = new Set(inOrder.slice(0, claimLimit));
  const names = new Map(tasks.map(({ taskId, name }) => [taskId, name]));
  const positions = new Map(tasks.map(({ taskId, position }) => [taskId, position]));
  const place = (taskId: string): number => positions.get(taskId) ?? 0;
  return tasks.map((task) => ({
    plan,
    task_id: task.taskId,
    name: task.name,
    position: task.position,
    priority: task.priority,
    needs: task.needs,
    shape_key: task.shapeKey,
    uses_gpu: task.needs.gpuCount > 0,
    command: task.command,
    resume_after_ms: task.resumeAfterMs,
    depends_on: task.dependsOnTaskIds.toSorted((a, b) => place(a) - place(b)).map((taskId) => names.get(taskId)),
    depends_remaining: task.dependsOnTaskIds.length,
    max_attempts: task.maxAttempts,
    retry_on_failure: task.retryOnFailure,
    hold_unknown: task.holdUnknown,
    run_timeout_ms: task.runTimeoutMs,
    work_lease_ms: task.workLeaseMs,
    expected_duration_ms: task.expectedDurationMs,
    wait_timeout_ms: task.waitTimeoutMs,
    claims: claims.has(task),
    reason: task.pause?.reason ?? null,
    sentence: task.pause?.sentence ?? null,
    blocked: task.pause?.blocked ?? false,
  }));
}

function claimedTask(plan: NewPlan, task: NewTask, row: ClaimedRow): ClaimedTask {
  return {
    taskId: task.taskId,
    planId: plan.planId,
    taskName: task.name,
    state: "pending",
    needs: task.needs,
    shapeKey: task.shapeKey,
    priority: task.priority,
    rank: row.rank,
    pausedAtMs: row.created_at,
    expectedDurationMs: task.expectedDurationMs,
    attemptId: row.attempt_id,
    mayHoldRoom: false,
    fence: 1,
  };
}
