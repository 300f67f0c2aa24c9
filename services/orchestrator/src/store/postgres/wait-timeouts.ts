import { classifyError, type Database, defineStatement, type Transaction } from "@headroom/postgres";
import type { WaitedTooLong, WaitTimeouts } from "../port.ts";
import { cancelDependents } from "./dependents.ts";
import { appendEvents } from "./events.ts";
import { finishTasks } from "./finish-tasks.ts";
import { putOffDeadlines, waitDeadline } from "./late-deadlines.ts";
import { lockPlans } from "./lock-plans.ts";
import { waitBriefly } from "./lock-wait.ts";
import { endPauses } from "./pause-rows.ts";

const findDue = defineStatement<{ readonly task_id: string; readonly plan_id: string; readonly is_late: boolean }>({
  name: "pause_queue_find_waited_too_long",
  text: `
    SELECT q.task_id, q.plan_id, ${waitDeadline} > now() AS is_late
      FROM pause_queue q JOIN tasks t ON t.task_id = q.task_id
     WHERE q.status = 'waiting' AND q.wait_deadline <= now() AND q.plan_id <> ALL($2::uuid[])
       AND NOT EXISTS (SELECT 1 FROM queue_hold WHERE is_held)
     ORDER BY q.wait_deadline
     LIMIT $1`,
});

interface DueRow {
  readonly task_id: string;
  readonly name: string;
  readonly wait_timeout_ms: number;
  readonly reason_detail: string;
}

/** As they are now that the plan is locked: one that was assigned meanwhile waits no more. */
const lockDue = defineStatement<DueRow>({
  name: "pause_queue_lock_waited_too_long",
  text: `
    SELECT t.task_id, t.name, t.wait_timeout_ms, q.reason_detail
      FROM pause_queue q JOIN tasks t ON t.task_id = q.task_id
     WHERE q.task_id = ANY($1::uuid[]) AND q.status = 'waiting' AND ${waitDeadline} <= now() AND t.state = 'paused'
       AND NOT EXISTS (SELECT 1 FROM queue_hold WHERE is_held)
       FOR UPDATE OF t`,
});

const markTimedOut = defineStatement({
  name: "tasks_mark_wait_timed_out",
  text: `UPDATE tasks SET outcome_code = 'WAIT_TIMED_OUT' WHERE task_id = ANY($1::uuid[])`,
});

/** By the database's clock. One transaction for each plan; whoever places one of them at this moment finds its claim gone. */
export async function failWaitedTooLong(
  db: Database,
  limit: number,
  exceptPlanIds: readonly string[],
): Promise<WaitTimeouts> {
  const due = await db.query(findDue, [limit, exceptPlanIds]);
  const late = due.filter((row) => row.is_late);
  const putOff = await putOffDeadlines(
    db,
    late.map((row) => row.task_id),
  );
  const byPlan = new Map<string, string[]>();
  for (const row of due) {
    if (row.is_late) continue;
    byPlan.set(row.plan_id, [...(byPlan.get(row.plan_id) ?? []), row.task_id]);
  }
  const failed: WaitedTooLong[] = [];
  const inUse = new Set(late.flatMap((row) => (putOff.has(row.task_id) ? [] : row.plan_id)));
  const leftOut: { readonly planId: string; readonly error: unknown }[] = [...inUse].map((planId) => ({
    planId,
    error: null,
  }));
  for (const [planId, taskIds] of byPlan) {
    try {
      failed.push(...(await db.transaction((tx) => failThose(tx, planId, taskIds))));
    } catch (error) {
      // Somebody may keep the plan locked. The others are not to wait for it, and what was committed is to be told.
      if (classifyError(error).kind !== "unavailable") leftOut.push({ planId, error });
      else if (failed.length === 0) throw error;
      else break;
    }
  }
  return { failed, putOff: putOff.size, leftOut };
}

async function failThose(tx: Transaction, planId: string, taskIds: readonly string[]): Promise<WaitedTooLong[]> {
  await waitBriefly(tx);
  await lockPlans(tx, [planId]);
  const rows = await tx.query(lockDue, [taskIds]);
  const failed = rows.map((row) => ({ planId, taskId: row.task_id, taskName: row.name, sentence: sentenceOf(row) }));
  if (failed.length === 0) return [];
  const ids = failed.map(({ taskId }) => taskId);
  await endPauses(tx, ids, "failed");
  await appendEvents(
    tx,
    failed.map((task) => ({
      ...task,
      kind: "TASK_WAIT_TIMED_OUT",
      fromState: "paused",
      toState: "failed",
      actor: "orchestrator",
    })),
  );
  for (const { taskId, taskName, sentence } of failed) {
    await finishTasks(tx, [{ planId, taskId, state: "failed", outcomeReason: sentence }]);
    await cancelDependents(tx, planId, [taskId], `it depends on "${taskName}", which failed`);
  }
  await tx.execute(markTimedOut, [ids]);
  return failed;
}

function sentenceOf(row: DueRow): string {
  const last = row.reason_detail === "" ? "" : ` (${row.reason_detail.replace(/\.$/, "")})`;
  return `it waited longer than its wait_timeout of ${row.wait_timeout_ms / 1_000} s${last}`;
}
