import { confirmPrimarySql, defineStatement, type Queryable, type Statement } from "@headroom/postgres";
import type { AttemptState } from "@headroom/scheduling";
import type { AttemptKnown } from "../model.ts";

export interface KnownRow {
  readonly attempt_id: string;
  readonly fence: number;
  readonly task_id: string;
  readonly plan_id: string;
  readonly agent_id: string;
  readonly state: AttemptState;
  readonly sent: boolean;
  readonly cancel_requested: boolean;
}

/** For `attempts a` joined with `tasks t`. */
export const knownColumns = `a.attempt_id, a.fence, a.task_id, a.plan_id, a.agent_id, a.state, a.sent_at IS NOT NULL AS sent,
           t.cancel_requested_at IS NOT NULL AS cancel_requested`;

export function knownFromRow(row: KnownRow): AttemptKnown {
  return {
    attemptId: row.attempt_id,
    fence: row.fence,
    taskId: row.task_id,
    planId: row.plan_id,
    agentId: row.agent_id,
    state: row.state,
    sent: row.sent,
    cancelRequested: row.cancel_requested,
  };
}

async function known(
  db: Queryable,
  statement: Statement<KnownRow>,
  values: readonly unknown[],
): Promise<readonly AttemptKnown[]> {
  return (await db.query(statement, values)).map(knownFromRow);
}

const openOfAgent = defineStatement<KnownRow>({
  name: "attempts_open_of_agent",
  text: `
    SELECT ${knownColumns}
      FROM attempts a JOIN tasks t ON t.task_id = a.task_id
     WHERE a.agent_id = $1 AND a.state IN ('assigned', 'running')
     ORDER BY a.assigned_at`,
});

export function openAttempts(db: Queryable, agentId: string): Promise<readonly AttemptKnown[]> {
  return known(db, openOfAgent, [agentId]);
}

// What is not found here, or found otherwise than its agent has it, the agent is told to end.
const byIds = defineStatement<KnownRow>({
  name: "attempts_by_ids",
  text: `
    WITH confirmed AS MATERIALIZED (SELECT ${confirmPrimarySql})
    SELECT ${knownColumns}
      FROM attempts a JOIN tasks t ON t.task_id = a.task_id
     WHERE a.attempt_id = ANY($1::uuid[]) AND (SELECT count(*) FROM confirmed) > 0`,
});

export async function findAttempts(db: Queryable, attemptIds: readonly string[]): Promise<readonly AttemptKnown[]> {
  return attemptIds.length === 0 ? [] : known(db, byIds, [attemptIds]);
}

// What somebody else has locked is found due again, and noted then.
const noteRenewedStatement = defineStatement({
  name: "attempts_note_renewed",
  text: `
    WITH free AS MATERIALIZED (
      SELECT attempt_id FROM attempts WHERE attempt_id = ANY($1::uuid[]) AND state = 'assigned' FOR UPDATE SKIP LOCKED)
    UPDATE attempts a SET reservation_expires_at = now() + r.lease_left_ms * interval '1 millisecond'
      FROM free JOIN unnest($1::uuid[], $2::double precision[]) AS r(attempt_id, lease_left_ms) ON r.attempt_id = free.attempt_id
     WHERE a.attempt_id = free.attempt_id`,
});

export async function noteReservationsRenewed(
  db: Queryable,
  renewed: readonly { readonly attemptId: string; readonly leaseLeftMs: number }[],
): Promise<void> {
  if (renewed.length === 0) return;
  await db.execute(noteRenewedStatement, [
    renewed.map(({ attemptId }) => attemptId),
    renewed.map(({ leaseLeftMs }) => leaseLeftMs),
  ]);
}
