import { defineStatement, type Queryable } from "@headroom/postgres";
import type { Amounts } from "@headroom/scheduling";
import {
  type Actor,
  type AssignmentToSend,
  type CallTrace,
  type NewAssignment,
  NO_CALL,
  type TaskCommand,
} from "../model.ts";
import { waitsBriefly } from "./lock-wait.ts";

interface AssignedRow {
  readonly task_id: string;
  readonly attempt_id: string;
  readonly work_lease_ms: number;
  readonly run_timeout_ms: number | null;
  readonly command: TaskCommand;
}

// One statement is one round trip and one transaction: the plans are locked before anything that depends on them is written
// (`lockPlans` says why; a plan that is held by the time it is locked is not among them), and what follows is done for those tasks only whose claim is still ours.
// Whether the queue is held is asked again when all is locked, which may have taken seconds: a hold was committed and answered meanwhile, unseen
// by a statement that began before it. The tasks are found one by one, by
// their ids: as one join with all the conditions the planner expects a single row, and compares every task that waits with every one
// that was asked for (250 ms for 428 tasks of a queue of 4,000; one by one 10 ms).
const assignStatement = defineStatement<AssignedRow>({
  name: "tasks_assign",
  text: `
    WITH locked AS MATERIALIZED (
      SELECT plan_id FROM plans WHERE plan_id = ANY($1::uuid[]) AND held_at IS NULL AND ${waitsBriefly} ORDER BY plan_id FOR NO KEY UPDATE),
    asked AS MATERIALIZED (
      SELECT a.* FROM jsonb_to_recordset($3::jsonb) AS a(
             task_id uuid, plan_id uuid, task_name text, attempt_id uuid, agent_id uuid, fence bigint, was text, number integer,
             reserved jsonb, card_indexes jsonb, lease_left_ms double precision, sends_now boolean)),
    ours AS MATERIALIZED (
      SELECT a.task_id, a.attempt_id
        FROM asked a
       CROSS JOIN LATERAL (SELECT t.claim_owner, t.fence, t.placing_attempt_id, t.state FROM tasks t WHERE t.task_id = a.task_id FOR UPDATE) AS t
       WHERE a.plan_id = ANY (ARRAY(SELECT plan_id FROM locked))
         AND NOT EXISTS (SELECT FROM queue_hold WHERE is_held)
         AND t.claim_owner = $2 AND t.fence = a.fence AND t.placing_attempt_id = a.attempt_id AND t.state IN ('pending', 'paused')),
    queued AS MATERIALIZED (
      SELECT q.task_id
        FROM ours
       CROSS JOIN LATERAL (SELECT q.task_id FROM pause_queue q WHERE q.task_id = ours.task_id AND q.status = 'waiting' FOR NO KEY UPDATE) AS q),
    held AS MATERIALIZED (SELECT count(*) AS locked_before, queue_is_held() AS is_held FROM queued),
    taken AS (
      UPDATE tasks t
         SET state = 'assigned', attempt_id = ours.attempt_id, placing_attempt_id = NULL, claim_owner = NULL, claim_expires_at = NULL,
             attempts_made = t.attempts_made + 1, runs_used = t.runs_used + 1
        FROM ours
       WHERE t.task_id = ours.task_id AND NOT (SELECT is_held FROM held)
   RETURNING t.task_id, ours.attempt_id, t.attempts_made, t.work_lease_ms, t.run_timeout_ms, t.command),
    recorded AS (
      INSERT INTO attempts (attempt_id, task_id, plan_id, agent_id, number, fence, state, reserved, card_indexes, work_lease_ms,
                            reservation_expires_at, sent_at, lease_expires_at)
      SELECT a.attempt_id, a.task_id, a.plan_id, a.agent_id, taken.attempts_made, a.fence, 'assigned', a.reserved, a.card_indexes,
             taken.work_lease_ms, now() + a.lease_left_ms * interval '1 millisecond', CASE WHEN a.sends_now THEN now() END,
             now() + (a.lease_left_ms + taken.work_lease_ms) * interval '1 millisecond'
        FROM asked a JOIN taken ON taken.task_id = a.task_id),
    resumed AS (
      UPDATE pause_queue q SET status = 'resumed', resumed_at = now(), last_checked = now()
        FROM taken WHERE q.task_id = taken.task_id AND q.status = 'waiting'),
    told AS (
      INSERT INTO events (plan_id, task_id, task_name, attempt_id, agent_id, kind, from_state, to_state, actor, request_id, traceparent)
      SELECT a.plan_id, a.task_id, a.task_name, CASE WHEN step.number = 2 THEN a.attempt_id END, a.agent_id, step.kind,
             CASE WHEN step.number = 2 THEN a.was END, CASE WHEN step.number = 2 THEN 'assigned' END, $4, $5, $6
        FROM asked a JOIN taken ON taken.task_id = a.task_id
        JOIN (VALUES (1, 'TASK_RESUMED'), (2, 'TASK_ASSIGNED')) AS step(number, kind) ON step.number = 2 OR a.was = 'paused'
       ORDER BY a.number, step.number)
    SELECT task_id, attempt_id, work_lease_ms, run_timeout_ms, command FROM taken`,
});

/**
 * Step 4 of DESIGN 5: attempt, task and queue row in one transaction, guarded by owner and fence of the claim. A resumption is an
 * event of its own, so that it can be counted (R-PAUSE-10). Nothing of a plan that is held, nor while the queue is, is assigned: the hold
 * may have come after the claim.
 */
export async function assign(
  db: Queryable,
  assignments: readonly NewAssignment[],
  owner: string,
  actor: Actor,
  call: CallTrace = NO_CALL,
): Promise<readonly AssignmentToSend[]> {
  const rows = await db.query(assignStatement, [
    [...new Set(assignments.map(({ claimed }) => claimed.planId))],
    owner,
    JSON.stringify(assignments.map(askedRow)),
    actor,
    call.requestId,
    call.traceparent,
  ]);
  const byTask = new Map(rows.map((row) => [row.task_id, row]));
  // In the order in which they were asked for.
  return assignments.flatMap((assignment) => {
    const row = byTask.get(assignment.claimed.taskId);
    return row === undefined ? [] : [toSend(row, assignment)];
  });
}

function askedRow(
  { claimed, agentId, amounts, cardIndexes, leaseLeftMs, sendsNow }: NewAssignment,
  number: number,
): Record<string, unknown> {
  return {
    task_id: claimed.taskId,
    plan_id: claimed.planId,
    task_name: claimed.taskName,
    attempt_id: claimed.attemptId,
    agent_id: agentId,
    fence: claimed.fence,
    was: claimed.state,
    number,
    reserved: amounts,
    card_indexes: cardIndexes,
    lease_left_ms: leaseLeftMs,
    sends_now: sendsNow,
  };
}

function toSend(
  row: AssignedRow,
  { claimed, agentId, amounts, cardIndexes, leaseLeftMs }: NewAssignment,
): AssignmentToSend {
  return {
    attemptId: row.attempt_id,
    fence: claimed.fence,
    taskId: row.task_id,
    planId: claimed.planId,
    taskName: claimed.taskName,
    agentId,
    command: row.command,
    amounts,
    cardIndexes,
    runTimeoutMs: row.run_timeout_ms,
    workLeaseMs: row.work_lease_ms,
    acceptWithinMs: leaseLeftMs,
    // Its task waited until now: what waits ends when it is cancelled.
    cancelRequested: false,
  };
}

/** One row of what is sent to an agent; `deliver.ts` selects the same columns. */
export interface SendRow {
  readonly attempt_id: string;
  readonly fence: number;
  readonly task_id: string;
  readonly plan_id: string;
  readonly agent_id: string;
  readonly name: string;
  readonly command: TaskCommand;
  readonly reserved: Amounts;
  readonly card_indexes: readonly number[];
  readonly run_timeout_ms: number | null;
  readonly work_lease_ms: number;
  readonly accept_within_ms: number;
  readonly cancel_requested: boolean;
}
