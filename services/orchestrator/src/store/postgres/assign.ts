import { type Database, defineStatement } from "@headroom/postgres";
import type { Amounts } from "@headroom/scheduling";
import type { Actor, AssignmentToSend, NewAssignment, TaskCommand } from "../model.ts";
import { appendEvents } from "./events.ts";
import { lockPlans } from "./lock-plans.ts";
import { endPauses } from "./pause-rows.ts";

interface AssignedRow {
  readonly task_id: string;
  readonly attempt_id: string;
  readonly number: number;
  readonly work_lease_ms: number;
  readonly run_timeout_ms: number | null;
  readonly command: TaskCommand;
}

const takeTasks = defineStatement<AssignedRow>({
  name: "tasks_assign",
  text: `
    UPDATE tasks t
       SET state = 'assigned', attempt_id = a.attempt_id, placing_attempt_id = NULL, claim_owner = NULL, claim_expires_at = NULL,
           attempts_made = t.attempts_made + 1, runs_used = t.runs_used + 1
      FROM unnest($2::uuid[], $3::uuid[], $4::bigint[]) AS a(task_id, attempt_id, fence)
     WHERE t.task_id = a.task_id AND t.claim_owner = $1 AND t.fence = a.fence AND t.placing_attempt_id = a.attempt_id
       AND t.state IN ('pending', 'paused') AND NOT EXISTS (SELECT 1 FROM queue_hold)
 RETURNING t.task_id, a.attempt_id, t.attempts_made AS number, t.work_lease_ms, t.run_timeout_ms, t.command`,
});

const insertAttempts = defineStatement({
  name: "attempts_insert",
  text: `
    INSERT INTO attempts (attempt_id, task_id, plan_id, agent_id, number, fence, state, reserved, card_indexes, work_lease_ms,
                          reservation_expires_at, sent_at, lease_expires_at)
    SELECT a.attempt_id, a.task_id, a.plan_id, a.agent_id, a.number, a.fence, 'assigned', a.reserved, a.card_indexes, a.work_lease_ms,
           now() + a.lease_left_ms * interval '1 millisecond',
           CASE WHEN a.sends_now THEN now() END,
           now() + (a.lease_left_ms + a.work_lease_ms) * interval '1 millisecond'
      FROM jsonb_to_recordset($1::jsonb) AS a(
           attempt_id uuid, task_id uuid, plan_id uuid, agent_id uuid, number integer, fence bigint, reserved jsonb, card_indexes jsonb,
           work_lease_ms bigint, lease_left_ms double precision, sends_now boolean)`,
});

/** Step 4 of DESIGN 5: attempt, task and queue row in one transaction, guarded by owner and fence of the claim. */
export function assign(
  db: Database,
  assignments: readonly NewAssignment[],
  owner: string,
  actor: Actor,
): Promise<readonly AssignmentToSend[]> {
  return db.transaction(async (tx) => {
    const byTask = new Map(assignments.map((assignment) => [assignment.claimed.taskId, assignment]));
    await lockPlans(
      tx,
      assignments.map(({ claimed }) => claimed.planId),
    );
    const rows = await tx.query(takeTasks, [
      owner,
      assignments.map(({ claimed }) => claimed.taskId),
      assignments.map(({ claimed }) => claimed.attemptId),
      assignments.map(({ claimed }) => claimed.fence),
    ]);
    const taken = rows.flatMap((row) => {
      const assignment = byTask.get(row.task_id);
      return assignment === undefined ? [] : [{ row, assignment }];
    });
    await tx.execute(insertAttempts, [JSON.stringify(taken.map(attemptRow))]);
    await endPauses(
      tx,
      taken.map(({ row }) => row.task_id),
      "resumed",
    );
    await appendEvents(
      tx,
      taken.flatMap(({ assignment: { claimed, agentId } }) => {
        const about = { planId: claimed.planId, taskId: claimed.taskId, taskName: claimed.taskName, actor };
        const assigned = {
          ...about,
          attemptId: claimed.attemptId,
          agentId,
          kind: "TASK_ASSIGNED",
          fromState: claimed.state,
          toState: "assigned" as const,
        };
        // R-PAUSE-10: a resumption is an event of its own, so that it can be counted.
        return claimed.state === "paused" ? [{ ...about, kind: "TASK_RESUMED", agentId }, assigned] : [assigned];
      }),
    );
    return taken.map(({ row, assignment }) => toSend(row, assignment));
  });
}

function attemptRow({ row, assignment }: { row: AssignedRow; assignment: NewAssignment }): Record<string, unknown> {
  const { claimed, agentId, amounts, cardIndexes, leaseLeftMs, sendsNow } = assignment;
  return {
    attempt_id: row.attempt_id,
    task_id: row.task_id,
    plan_id: claimed.planId,
    agent_id: agentId,
    number: row.number,
    fence: claimed.fence,
    reserved: amounts,
    card_indexes: cardIndexes,
    work_lease_ms: row.work_lease_ms,
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
}
