import { defineStatement } from "@headroom/postgres";
import type { PauseReason, PlanStatus } from "@headroom/scheduling";
import type { CallTrace, DecideAttempt, HoldPlanOutcome, HoldRequest } from "../model.ts";
import { appendEvents, type NewEvent } from "./events.ts";
import { holdSentence, insertPauses } from "./pause-rows.ts";
import type { PlanTransactions } from "./plan-transactions.ts";
import { takeBackUnsentOf } from "./take-back-unsent.ts";

const planOutcome = defineStatement<{ readonly outcome: PlanStatus | null }>({
  name: "plans_outcome",
  text: `SELECT outcome FROM plans WHERE plan_id = $1`,
});

const holdStatement = defineStatement({
  name: "plans_hold",
  text: `UPDATE plans SET held_at = coalesce(held_at, now()), held_by = $2, hold_reason = $3 WHERE plan_id = $1`,
});

interface TaskRow {
  readonly task_id: string;
  readonly name: string;
}

/** Whoever places them finds its claim gone, and gives the room back that it was promised. */
const parkPending = defineStatement<TaskRow>({
  name: "tasks_hold_pending",
  text: `
    UPDATE tasks SET state = 'paused', claim_owner = NULL, claim_expires_at = NULL, placing_attempt_id = NULL
     WHERE plan_id = $1 AND state = 'pending'
 RETURNING task_id, name`,
});

const takeClaims = defineStatement({
  name: "tasks_hold_take_claims",
  text: `
    UPDATE tasks SET claim_owner = NULL, claim_expires_at = NULL
     WHERE plan_id = $1 AND state = 'paused' AND claim_expires_at IS NOT NULL`,
});

const holdRows = defineStatement<TaskRow & { readonly was_held: boolean }>({
  name: "pause_queue_hold_plan",
  text: `
    UPDATE pause_queue q
       SET blocked = true, reason = 'HELD', reason_detail = ${holdSentence("pl")}, wait_deadline = NULL
      FROM plans pl, tasks t, pause_queue before
     WHERE q.plan_id = $1 AND q.status = 'waiting' AND q.reason <> 'DEPENDENCY_PENDING'
       AND pl.plan_id = q.plan_id AND t.task_id = q.task_id AND before.pause_queue_id = q.pause_queue_id
 RETURNING q.task_id, t.name, before.blocked AS was_held`,
});

/** Everything of the plan that waits is held; what was being placed is taken from whoever placed it, and what is not sent yet from whoever would send it. */
export function holdPlan(
  plans: PlanTransactions,
  planId: string,
  request: HoldRequest,
  decide: DecideAttempt,
): Promise<HoldPlanOutcome> {
  const { by, reason, call } = request;
  return plans.run(planId, async (tx) => {
    const [plan] = await tx.query(planOutcome, [planId]);
    if (plan === undefined) return { kind: "unknown" };
    if (plan.outcome !== null) return { kind: "finished", status: plan.outcome };
    await tx.execute(holdStatement, [planId, by, reason]);
    const parked = await tx.query(parkPending, [planId]);
    await tx.execute(takeClaims, [planId]);
    const held = await tx.query(holdRows, [planId]);
    await insertPauses(
      tx,
      parked.map((row) => ({ taskId: row.task_id, reason: "HELD", sentence: "", blocked: true })),
    );
    const sentence = byWhom("held", by, reason);
    const about = (row: TaskRow) => ({ ...taskOf(planId, row, call), pauseReason: "HELD" as const, sentence });
    await appendEvents(tx, [
      { planId, kind: "PLAN_HELD", sentence, actor: "operator", call },
      ...parked.map((row) => ({ ...about(row), kind: "TASK_PAUSED", fromState: "pending" as const })),
      ...held.filter((row) => !row.was_held).map((row) => ({ ...about(row), kind: "TASK_HELD" })),
    ]);
    const takenBack = await takeBackUnsentOf(tx, planId, decide);
    const requeued = takenBack.filter(({ applied }) => applied.verdict.kind === "requeue");
    return { kind: "held", heldTasks: parked.length + held.length + requeued.length, takenBack };
  });
}

const releaseStatement = defineStatement<{ readonly was_held: boolean }>({
  name: "plans_release",
  text: `
    UPDATE plans p SET held_at = NULL, held_by = '', hold_reason = ''
      FROM plans before
     WHERE p.plan_id = $1 AND before.plan_id = p.plan_id
 RETURNING before.held_at IS NOT NULL AS was_held`,
});

const releaseRows = defineStatement<TaskRow & { readonly reason: PauseReason }>({
  name: "pause_queue_release_plan",
  text: `
    UPDATE pause_queue q
       SET blocked = false, turn_since = clock_timestamp(),
           reason = CASE WHEN q.resume_after > now() THEN 'RESUME_AFTER' ELSE 'AWAITING_TURN' END,
           reason_detail = CASE WHEN q.resume_after > now() THEN 'It is tried again later.' ELSE 'Its plan was released.' END,
           wait_deadline = greatest(clock_timestamp(), q.resume_after) + t.wait_timeout_ms * interval '1 millisecond'
      FROM tasks t
     WHERE q.plan_id = $1 AND q.status = 'waiting' AND q.blocked AND q.reason = 'HELD' AND t.task_id = q.task_id
 RETURNING q.task_id, t.name, q.reason`,
});

export function releasePlan(plans: PlanTransactions, planId: string, request: HoldRequest): Promise<number | null> {
  const { by, reason, call } = request;
  return plans.run(planId, async (tx) => {
    const [plan] = await tx.query(releaseStatement, [planId]);
    if (plan === undefined) return null;
    if (!plan.was_held) return 0;
    const released = await tx.query(releaseRows, [planId]);
    await appendEvents(tx, [
      { planId, kind: "PLAN_RELEASED", sentence: byWhom("released", by, reason), actor: "operator", call },
      ...released.map((row) => ({
        ...taskOf(planId, row, call),
        kind: "TASK_RELEASED",
        pauseReason: row.reason,
      })),
    ]);
    return released.length;
  });
}

function taskOf(planId: string, row: TaskRow, call: CallTrace): Omit<NewEvent, "kind"> {
  return {
    planId,
    taskId: row.task_id,
    taskName: row.name,
    fromState: "paused",
    toState: "paused",
    actor: "operator",
    call,
  };
}

function byWhom(what: string, by: string, reason: string): string {
  return `${what}${by === "" ? "" : ` by ${by}`}${reason === "" ? "" : `: ${reason}`}`;
}
