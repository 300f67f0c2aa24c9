import { defineStatement, type Queryable, type Transaction } from "@headroom/postgres";
import { isFinalTaskState, type TaskState } from "@headroom/scheduling";
import { type Actor, type CallTrace, type EndedAttempt, NO_CALL } from "../model.ts";
import type { CancelOutcome, OrchestratorStore } from "../port.ts";
import { cancelDependents } from "./dependents.ts";
import { appendEvents } from "./events.ts";
import { finishTasks } from "./finish-tasks.ts";
import { endPauses } from "./pause-rows.ts";
import type { PlanTransactions } from "./plan-transactions.ts";

interface CancelRow {
  readonly task_id: string;
  readonly name: string;
  readonly state: TaskState;
  readonly already_requested: boolean;
  readonly attempt_id: string | null;
  readonly fence: number | null;
  readonly agent_id: string | null;
  readonly unsent: boolean | null;
}

const columns = `t.task_id, t.name, t.state, t.cancel_requested_at IS NOT NULL AS already_requested,
           a.attempt_id, a.fence, a.agent_id, a.state = 'assigned' AND a.sent_at IS NULL AS unsent`;

const tasksOfPlan = defineStatement<CancelRow>({
  name: "tasks_lock_to_cancel_plan",
  text: `
    SELECT ${columns}
      FROM tasks t LEFT JOIN attempts a ON a.attempt_id = t.attempt_id AND a.state IN ('assigned', 'running')
     WHERE t.plan_id = $1 AND t.state NOT IN ('succeeded', 'failed', 'cancelled')
     ORDER BY t.position
       FOR UPDATE OF t`,
});

const oneTask = defineStatement<CancelRow>({
  name: "tasks_lock_to_cancel",
  text: `
    SELECT ${columns}
      FROM tasks t LEFT JOIN attempts a ON a.attempt_id = t.attempt_id AND a.state IN ('assigned', 'running')
     WHERE t.task_id = $1
       FOR UPDATE OF t`,
});

/** The attempt's row is locked after its task's; a holder that has just marked it sent is found to have done so. */
const takeBack = defineStatement<{ readonly attempt_id: string }>({
  name: "attempts_cancel_unsent",
  text: `
    UPDATE attempts SET state = 'cancelled', finished_at = now(), reason = 'CANCELLED'
     WHERE attempt_id = ANY($1::uuid[]) AND state = 'assigned' AND sent_at IS NULL
 RETURNING attempt_id`,
});

const requestCancel = defineStatement({
  name: "tasks_request_cancel",
  text: `UPDATE tasks SET cancel_requested_at = coalesce(cancel_requested_at, now()) WHERE task_id = ANY($1::uuid[])`,
});

const requestPlanCancel = defineStatement({
  name: "plans_request_cancel",
  text: `UPDATE plans SET cancel_requested_at = now() WHERE plan_id = $1 AND cancel_requested_at IS NULL AND finished_at IS NULL`,
});

const planExists = defineStatement<{ readonly plan_id: string }>({
  name: "plans_exists",
  text: `SELECT plan_id FROM plans WHERE plan_id = $1`,
});

const planOfTask = defineStatement<{ readonly plan_id: string }>({
  name: "tasks_plan",
  text: `SELECT plan_id FROM tasks WHERE task_id = $1`,
});

export async function cancelPlan(
  db: Queryable,
  plans: PlanTransactions,
  planId: string,
  reason: string,
  actor: Actor,
  call: CallTrace = NO_CALL,
): Promise<CancelOutcome | null> {
  const [plan] = await db.query(planExists, [planId]);
  if (plan === undefined) return null;
  return plans.run(planId, async (tx) => {
    const rows = await tx.query(tasksOfPlan, [planId]);
    if ((await tx.execute(requestPlanCancel, [planId])) > 0) {
      await appendEvents(tx, [{ planId, kind: "PLAN_CANCEL_REQUESTED", sentence: reason, actor, call }]);
    }
    return cancelRows(tx, planId, rows, { reason, actor, call });
  });
}

export async function cancelTask(
  db: Queryable,
  plans: PlanTransactions,
  taskId: string,
  reason: string,
  actor: Actor,
  call: CallTrace = NO_CALL,
): ReturnType<OrchestratorStore["cancelTask"]> {
  const planId = await planIdOf(db, taskId);
  if (planId === null) return { kind: "unknown" };
  return plans.run(planId, async (tx) => {
    const rows = await tx.query(oneTask, [taskId]);
    const [row] = rows;
    if (row === undefined) return { kind: "unknown" };
    if (isFinalTaskState(row.state)) return { kind: "finished", state: row.state };
    return { kind: "cancelled", ...(await cancelRows(tx, planId, rows, { reason, actor, call })) };
  });
}

async function planIdOf(db: Queryable, taskId: string): Promise<string | null> {
  const [row] = await db.query(planOfTask, [taskId]);
  return row?.plan_id ?? null;
}

/** Waiting tasks, and those that certainly never reached an agent, end now; for the others the agent is to be told. */
async function cancelRows(
  tx: Transaction,
  planId: string,
  rows: readonly CancelRow[],
  { reason, actor, call }: { readonly reason: string; readonly actor: Actor; readonly call: CallTrace },
): Promise<CancelOutcome> {
  const unsentIds = rows.flatMap((row) => (row.unsent === true && row.attempt_id !== null ? [row.attempt_id] : []));
  const taken = unsentIds.length === 0 ? [] : await tx.query(takeBack, [unsentIds]);
  const takenIds = new Set(taken.map((row) => row.attempt_id));
  const runs = (row: CancelRow): boolean => row.attempt_id !== null && !takenIds.has(row.attempt_id);
  const running = rows.filter(runs);
  const ending = rows.filter((row) => !runs(row));
  const sentence = reason === "" ? "cancelled on request" : reason;
  if (running.length > 0) await tx.execute(requestCancel, [running.map((row) => row.task_id)]);
  await endPauses(
    tx,
    ending.map((row) => row.task_id),
    "cancelled",
  );
  const about = (row: CancelRow) => ({
    planId,
    taskId: row.task_id,
    taskName: row.name,
    ...(row.attempt_id !== null && row.agent_id !== null && { attemptId: row.attempt_id, agentId: row.agent_id }),
    sentence,
    actor,
    call,
  });
  await appendEvents(tx, [
    ...ending.map((row) => ({
      ...about(row),
      kind: "TASK_CANCELLED",
      fromState: row.state,
      toState: "cancelled" as const,
    })),
    ...running
      .filter((row) => !row.already_requested)
      .map((row) => ({ ...about(row), kind: "TASK_CANCEL_REQUESTED", fromState: row.state, toState: row.state })),
  ]);
  const endingIds = ending.map((row) => row.task_id);
  let cancelledTasks = ending.length;
  if (endingIds.length > 0) {
    await finishTasks(
      tx,
      endingIds.map((taskId) => ({ planId, taskId, state: "cancelled", outcomeReason: sentence })),
    );
    cancelledTasks += await cancelDependents(tx, planId, endingIds, `what it depends on was cancelled: ${sentence}`);
  }
  return {
    cancelledTasks,
    running: running.flatMap(attemptOf).map((attempt) => ({ ...attempt, planId })),
    takenBack: ending
      .filter((row) => row.attempt_id !== null)
      .flatMap((row) =>
        attemptOf(row).map((attempt): EndedAttempt => ({
          ...attempt,
          planId,
          taskId: row.task_id,
          taskState: "cancelled",
        })),
      ),
  };
}

function attemptOf(row: CancelRow): readonly { attemptId: string; fence: number; agentId: string }[] {
  if (row.attempt_id === null || row.fence === null || row.agent_id === null) return [];
  return [{ attemptId: row.attempt_id, fence: row.fence, agentId: row.agent_id }];
}
