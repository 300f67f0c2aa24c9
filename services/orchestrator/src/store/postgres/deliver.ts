import { defineStatement, type Queryable } from "@headroom/postgres";
import type { AssignmentToSend, FencedAttempt } from "../model.ts";
import type { SendAgain, SentAgain } from "../port.ts";
import type { SendRow } from "./assign.ts";

/** However late, an agent gets this long to read an assignment again: it is certain not to run it elsewhere. */
const leastAcceptMs = 10_000;

const markSent = `
    UPDATE attempts a
       SET sent_at = now(),
           lease_expires_at = greatest(a.reservation_expires_at, now() + ${leastAcceptMs} * interval '1 millisecond')
                              + a.work_lease_ms * interval '1 millisecond'
      FROM due
      JOIN tasks t ON t.task_id = due.task_id
     WHERE a.attempt_id = due.attempt_id
 RETURNING a.attempt_id, a.fence, a.task_id, a.plan_id, a.agent_id, t.name, t.command, a.reserved, a.card_indexes, t.run_timeout_ms,
           a.work_lease_ms, t.cancel_requested_at IS NOT NULL AS cancel_requested,
           greatest(${leastAcceptMs}, extract(epoch FROM a.reservation_expires_at - now()) * 1000)::double precision AS accept_within_ms`;

const takeToSendStatement = defineStatement<SendRow>({
  name: "attempts_take_to_send",
  text: `
    WITH due AS MATERIALIZED (
      SELECT attempt_id, task_id FROM attempts
       WHERE state = 'assigned' AND agent_id = ANY($1::uuid[])
         AND (sent_at IS NULL
              OR (sent_at <= now() - $3 * interval '1 millisecond' AND agent_id = ANY($2::uuid[])
                  AND assigned_at > now() - $4 * interval '1 millisecond' AND attempt_id <> ALL($5::uuid[])))
       ORDER BY assigned_at
       LIMIT 500
         FOR UPDATE SKIP LOCKED)${markSent}`,
});

const toSendAgain = `attempts
       WHERE state = 'assigned' AND attempt_id = ANY($1::uuid[])
         AND (sent_at IS NULL OR assigned_at > now() - greatest($2, work_lease_ms) * interval '1 millisecond')`;

const takeToSendAgainStatement = defineStatement<SendRow>({
  name: "attempts_take_to_send_again",
  text: `
    WITH due AS MATERIALIZED (
      SELECT attempt_id, task_id FROM ${toSendAgain}
         FOR UPDATE SKIP LOCKED)${markSent}`,
});

const findToSendAgainStatement = defineStatement<{ readonly attempt_id: string }>({
  name: "attempts_find_to_send_again",
  text: `SELECT attempt_id FROM ${toSendAgain}`,
});

export async function takeToSend(
  db: Queryable,
  agentIds: readonly string[],
  again: SendAgain,
): Promise<readonly AssignmentToSend[]> {
  const rows = await db.query(takeToSendStatement, [
    agentIds,
    again.agentIds,
    again.afterMs,
    again.withinMs,
    again.exceptAttemptIds,
  ]);
  return rows.map(assignmentFromRow);
}

export async function takeToSendAgain(
  db: Queryable,
  attemptIds: readonly string[],
  withinMs: number,
): Promise<SentAgain> {
  if (attemptIds.length === 0) return { assignments: [], inUse: [] };
  const assignments = (await db.query(takeToSendAgainStatement, [attemptIds, withinMs])).map(assignmentFromRow);
  const taken = new Set(assignments.map(({ attemptId }) => attemptId));
  const others = attemptIds.filter((attemptId) => !taken.has(attemptId));
  // What was not taken and is to be sent still, somebody had locked.
  const inUse = others.length === 0 ? [] : await db.query(findToSendAgainStatement, [others, withinMs]);
  return { assignments, inUse: inUse.map(({ attempt_id }) => attempt_id) };
}

function assignmentFromRow(row: SendRow): AssignmentToSend {
  return {
    attemptId: row.attempt_id,
    fence: row.fence,
    taskId: row.task_id,
    planId: row.plan_id,
    taskName: row.name,
    agentId: row.agent_id,
    command: row.command,
    amounts: row.reserved,
    cardIndexes: row.card_indexes,
    runTimeoutMs: row.run_timeout_ms,
    workLeaseMs: row.work_lease_ms,
    acceptWithinMs: row.accept_within_ms,
    cancelRequested: row.cancel_requested,
  };
}

const takeToCancelStatement = defineStatement<{
  readonly attempt_id: string;
  readonly fence: number;
  readonly agent_id: string;
}>({
  name: "attempts_take_to_cancel",
  text: `
    WITH due AS MATERIALIZED (
    SELECT a.attempt_id
      FROM attempts a JOIN tasks t ON t.attempt_id = a.attempt_id
     WHERE a.agent_id = ANY($1::uuid[]) AND a.state IN ('assigned', 'running')
       AND t.cancel_requested_at IS NOT NULL AND t.state IN ('assigned', 'running')
       AND (a.cancel_sent_at IS NULL OR a.cancel_sent_at <= now() - $2 * interval '1 millisecond')
       FOR UPDATE OF a SKIP LOCKED)
    UPDATE attempts a SET cancel_sent_at = now() FROM due WHERE a.attempt_id = due.attempt_id
 RETURNING a.attempt_id, a.fence, a.agent_id`,
});

export async function takeToCancel(
  db: Queryable,
  agentIds: readonly string[],
  resendMs: number,
): Promise<readonly (FencedAttempt & { readonly agentId: string })[]> {
  const rows = await db.query(takeToCancelStatement, [agentIds, resendMs]);
  return rows.map((row) => ({ attemptId: row.attempt_id, fence: row.fence, agentId: row.agent_id }));
}
