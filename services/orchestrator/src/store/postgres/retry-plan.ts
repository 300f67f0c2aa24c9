import { defineStatement, type Transaction } from "@headroom/postgres";
import { chooseRetry, type RetryCandidate, type TaskState } from "@headroom/scheduling";
import type { CallTrace, RetryOutcome } from "../model.ts";
import { appendEvents } from "./events.ts";
import { insertPauses } from "./pause-rows.ts";
import type { PlanTransactions } from "./plan-transactions.ts";

const findRetry = defineStatement<{
  readonly plan_id: string;
  readonly retried_tasks: number;
  readonly restored_tasks: number;
}>({
  name: "retry_requests_get",
  text: `SELECT plan_id, retried_tasks, restored_tasks FROM retry_requests WHERE request_id = $1`,
});

const noteRetry = defineStatement({
  name: "retry_requests_insert",
  text: `INSERT INTO retry_requests (request_id, plan_id, retried_tasks, restored_tasks) VALUES ($1, $2, $3, $4)
             ON CONFLICT (request_id) DO NOTHING`,
});

/** The id was used for another plan at the same moment: what it was used for can be read now. */
class RequestIdTakenError extends Error {}

interface CandidateRow {
  readonly task_id: string;
  readonly name: string;
  readonly state: TaskState;
  readonly cancelled_by_dependency: boolean;
  readonly depends_on: readonly string[];
}

const selectCandidates = defineStatement<CandidateRow>({
  name: "tasks_retry_candidates",
  text: `
    SELECT t.task_id, t.name, t.state, t.outcome_code = 'DEPENDENCY_NOT_MET' AS cancelled_by_dependency,
           ARRAY(SELECT d.depends_on_task_id::text FROM task_dependencies d WHERE d.task_id = t.task_id) AS depends_on
      FROM tasks t
     WHERE t.plan_id = $1
     ORDER BY t.position
       FOR UPDATE OF t`,
});

/** With all runs anew; attempts go on being numbered. */
const bringBack = defineStatement<{ readonly task_id: string; readonly waits_for: number }>({
  name: "tasks_bring_back",
  text: `
    UPDATE tasks t
       SET state = 'paused', runs_used = 0, finished_at = NULL, outcome_reason = '', outcome_code = '', cancel_requested_at = NULL,
           placing_attempt_id = NULL, claim_owner = NULL, claim_expires_at = NULL,
           depends_remaining = (SELECT count(*) FROM task_dependencies d JOIN tasks other ON other.task_id = d.depends_on_task_id
                                 WHERE d.task_id = t.task_id AND other.state <> 'succeeded')
     WHERE t.task_id = ANY($1::uuid[]) AND t.state IN ('failed', 'cancelled')
 RETURNING t.task_id, t.depends_remaining AS waits_for`,
});

const reopenPlan = defineStatement({
  name: "plans_reopen",
  text: `
    UPDATE plans
       SET unfinished_tasks = unfinished_tasks + $2, outcome = NULL, finished_at = NULL, cancel_requested_at = NULL
     WHERE plan_id = $1`,
});

const planThere = defineStatement<{ readonly plan_id: string }>({
  name: "plans_there",
  text: `SELECT plan_id FROM plans WHERE plan_id = $1`,
});

/** Failed tasks wait again, and with them what was cancelled because of them; their plan has not ended then. */
export async function retryPlan(...asked: Parameters<typeof retryOnce>): Promise<RetryOutcome> {
  try {
    return await retryOnce(...asked);
  } catch (error) {
    if (!(error instanceof RequestIdTakenError)) throw error;
    return retryOnce(...asked);
  }
}

function retryOnce(
  plans: PlanTransactions,
  planId: string,
  requestId: string | null,
  reason: string,
  call: CallTrace,
): Promise<RetryOutcome> {
  return plans.run(planId, async (tx) => {
    const [plan] = await tx.query(planThere, [planId]);
    if (plan === undefined) return { kind: "unknown" };
    const [earlier] = requestId === null ? [] : await tx.query(findRetry, [requestId]);
    if (earlier !== undefined) {
      if (earlier.plan_id !== planId) return { kind: "request_id_used", planId: earlier.plan_id };
      return {
        kind: "retried",
        retriedTasks: earlier.retried_tasks,
        restoredTasks: earlier.restored_tasks,
        duplicate: true,
      };
    }
    const rows = await tx.query(selectCandidates, [planId]);
    const { retried, restored } = chooseRetry(rows.map(candidateFromRow));
    if (retried.length > 0) await bringAllBack(tx, planId, rows, { retried, restored, reason, call });
    if (requestId !== null) {
      const noted = await tx.execute(noteRetry, [requestId, planId, retried.length, restored.length]);
      if (noted === 0) throw new RequestIdTakenError();
    }
    return { kind: "retried", retriedTasks: retried.length, restoredTasks: restored.length, duplicate: false };
  });
}

async function bringAllBack(
  tx: Transaction,
  planId: string,
  rows: readonly CandidateRow[],
  chosen: {
    readonly retried: readonly string[];
    readonly restored: readonly string[];
    readonly reason: string;
    readonly call: CallTrace;
  },
): Promise<void> {
  const { retried, restored, reason, call } = chosen;
  const ids = [...retried, ...restored];
  const back = await tx.query(bringBack, [ids]);
  await tx.execute(reopenPlan, [planId, back.length]);
  await insertPauses(
    tx,
    back.map((row) =>
      row.waits_for > 0
        ? {
            taskId: row.task_id,
            reason: "DEPENDENCY_PENDING",
            sentence: "It waits for what it depends on, which is tried again.",
            blocked: true,
          }
        : { taskId: row.task_id, reason: "AWAITING_TURN", sentence: "It is tried again on request.", blocked: false },
    ),
  );
  const isBack = new Map(back.map((row) => [row.task_id, row.waits_for]));
  const isRetried = new Set(retried);
  await appendEvents(tx, [
    {
      planId,
      kind: "PLAN_RETRY_REQUESTED",
      sentence: reason === "" ? "what failed is tried again on request" : reason,
      actor: "operator",
      call,
    },
    ...rows.flatMap((row) => {
      const waitsFor = isBack.get(row.task_id);
      if (waitsFor === undefined) return [];
      return [
        {
          planId,
          taskId: row.task_id,
          taskName: row.name,
          kind: isRetried.has(row.task_id) ? "TASK_RETRIED" : "TASK_RESTORED",
          fromState: row.state,
          toState: "paused" as const,
          pauseReason: waitsFor > 0 ? ("DEPENDENCY_PENDING" as const) : ("AWAITING_TURN" as const),
          actor: "operator" as const,
          call,
        },
      ];
    }),
  ]);
}

function candidateFromRow(row: CandidateRow): RetryCandidate {
  return {
    taskId: row.task_id,
    state: row.state,
    cancelledByDependency: row.cancelled_by_dependency,
    dependsOn: row.depends_on,
  };
}
