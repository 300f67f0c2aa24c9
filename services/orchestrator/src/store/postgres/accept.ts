import { classifyError, type Database, defineStatement, type Queryable, type Transaction } from "@headroom/postgres";
import type { AcceptOutcome, ClaimedTask, NewPlan, NewTask } from "../model.ts";
import type { Claimer } from "../port.ts";
import { appendEvents, type NewEvent } from "./events.ts";
import { insertPauses } from "./pause-rows.ts";
import { claimOrphans } from "./claim.ts";

const findRequestStatement = defineStatement<{ readonly plan_id: string; readonly request_hash: string }>({
  name: "plans_find_request",
  text: `SELECT plan_id, request_hash FROM plans WHERE request_id = $1`,
});

const findTaskIds = defineStatement<{ readonly task_id: string }>({
  name: "tasks_find_ids",
  text: `SELECT task_id FROM tasks WHERE task_id = ANY($1::uuid[]) ORDER BY task_id LIMIT 100`,
});

const insertPlan = defineStatement({
  name: "plans_insert",
  text: `
    INSERT INTO plans (plan_id, name, namespace, priority, labels, request_id, request_hash, total_tasks, unfinished_tasks,
                       traceparent)
    VALUES ($1, $2, $3, $4, $5::jsonb, $6, $7, $8, $8, $9)`,
});

const insertTasks = defineStatement({
  name: "tasks_insert",
  text: `
    INSERT INTO tasks (task_id, plan_id, name, position, state, priority, needs, shape_key, uses_gpu, command, resume_after,
                       depends_remaining, max_attempts, retry_on_failure, hold_unknown, run_timeout_ms, work_lease_ms,
                       expected_duration_ms, wait_timeout_ms, rank)
    SELECT t.task_id, $1, t.name, t.position, t.state, t.priority, t.needs, t.shape_key, t.uses_gpu, t.command,
           to_timestamp(t.resume_after_ms / 1000.0), t.depends_remaining, t.max_attempts, t.retry_on_failure, t.hold_unknown,
           t.run_timeout_ms, t.work_lease_ms, t.expected_duration_ms, t.wait_timeout_ms,
           extract(epoch FROM now()) + t.position * 1e-6 - t.priority * $3::double precision
      FROM jsonb_to_recordset($2::jsonb) AS t(
           task_id uuid, name text, position integer, state text, priority integer, needs jsonb, shape_key text, uses_gpu boolean,
           command jsonb, resume_after_ms double precision, depends_remaining integer, max_attempts integer,
           retry_on_failure boolean, hold_unknown boolean, run_timeout_ms bigint, work_lease_ms bigint, expected_duration_ms bigint,
           wait_timeout_ms bigint)`,
});

const insertDependencies = defineStatement({
  name: "task_dependencies_insert",
  text: `
    INSERT INTO task_dependencies (task_id, depends_on_task_id)
    SELECT d.task_id, d.depends_on FROM unnest($1::uuid[], $2::uuid[]) AS d(task_id, depends_on)`,
});

export async function findRequest(
  db: Queryable,
  requestId: string,
): Promise<{ readonly planId: string; readonly requestHash: string } | null> {
  const [row] = await db.query(findRequestStatement, [requestId]);
  return row === undefined ? null : { planId: row.plan_id, requestHash: row.request_hash };
}

/** Step 1 of DESIGN 5: the plan, its tasks, their dependencies and pause rows, in one transaction. */
export async function acceptPlan(
  db: Database,
  plan: NewPlan,
  claimer: Claimer,
  claimLimit: number,
): Promise<AcceptOutcome> {
  try {
    return await db.transaction(async (tx) => {
      const taken = await tx.query(findTaskIds, [plan.tasks.map((task) => task.taskId)]);
      if (taken.length > 0) return { kind: "task_ids_exist", taskIds: taken.map((row) => row.task_id) };
      const claimed = await insertAll(tx, plan, claimer, claimLimit);
      return { kind: "accepted", claimed };
    });
  } catch (error) {
    const duplicate = classifyError(error);
    if (duplicate.kind !== "unique_violation") throw error;
    return await explainDuplicate(db, plan, error);
  }
}

/** Somebody committed the same request, or a task of the same id, between our look and our insert. */
async function explainDuplicate(db: Database, plan: NewPlan, error: unknown): Promise<AcceptOutcome> {
  const earlier = plan.requestId === null ? null : await findRequest(db, plan.requestId);
  if (earlier !== null) {
    return { kind: "request_id_used", planId: earlier.planId, samePlan: earlier.requestHash === plan.requestHash };
  }
  const taken = await db.query(findTaskIds, [plan.tasks.map((task) => task.taskId)]);
  if (taken.length === 0) throw error;
  return { kind: "task_ids_exist", taskIds: taken.map((row) => row.task_id) };
}

async function insertAll(
  tx: Transaction,
  plan: NewPlan,
  claimer: Claimer,
  claimLimit: number,
): Promise<readonly ClaimedTask[]> {
  const { planId, tasks } = plan;
  // The new row is ours until we commit: that is this plan's lock.
  await tx.execute(insertPlan, [
    planId,
    plan.name,
    plan.namespace,
    plan.priority,
    JSON.stringify(plan.labels),
    plan.requestId,
    plan.requestHash,
    tasks.length,
    plan.call.traceparent,
  ]);
  await tx.execute(insertTasks, [planId, JSON.stringify(tasks.map(taskRow)), plan.pointMs / 1_000]);
  const pairs = tasks.flatMap((task) => task.dependsOnTaskIds.map((dependsOn) => [task.taskId, dependsOn] as const));
  if (pairs.length > 0) {
    await tx.execute(insertDependencies, [pairs.map(([taskId]) => taskId), pairs.map(([, dependsOn]) => dependsOn)]);
  }
  const paused = tasks.flatMap((task) => (task.pause === null ? [] : [{ taskId: task.taskId, ...task.pause }]));
  await insertPauses(tx, paused);
  await appendEvents(tx, [
    {
      planId,
      kind: "PLAN_ACCEPTED",
      actor: "planner",
      sentence: `accepted with ${tasks.length} ${tasks.length === 1 ? "task" : "tasks"}`,
      call: plan.call,
    },
    ...tasks.flatMap((task) => pausedEvent(planId, task)),
  ]);
  return claimOrphans(tx, claimer, claimLimit, planId);
}

function pausedEvent(planId: string, task: NewTask): readonly NewEvent[] {
  if (task.pause === null) return [];
  return [
    {
      planId,
      taskId: task.taskId,
      taskName: task.name,
      kind: "TASK_PAUSED",
      fromState: "pending",
      toState: "paused",
      pauseReason: task.pause.reason,
      sentence: task.pause.sentence,
      actor: "orchestrator",
    },
  ];
}

function taskRow(task: NewTask): Record<string, unknown> {
  return {
    task_id: task.taskId,
    name: task.name,
    position: task.position,
    state: task.pause === null ? "pending" : "paused",
    priority: task.priority,
    needs: task.needs,
    shape_key: task.shapeKey,
    uses_gpu: task.needs.gpuCount > 0,
    command: task.command,
    resume_after_ms: task.resumeAfterMs,
    depends_remaining: task.dependsOnTaskIds.length,
    max_attempts: task.maxAttempts,
    retry_on_failure: task.retryOnFailure,
    hold_unknown: task.holdUnknown,
    run_timeout_ms: task.runTimeoutMs,
    work_lease_ms: task.workLeaseMs,
    expected_duration_ms: task.expectedDurationMs,
    wait_timeout_ms: task.waitTimeoutMs,
  };
}
