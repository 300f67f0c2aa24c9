import { defineStatement, type Queryable } from "@headroom/postgres";
import type { WorkLease } from "../port.ts";

interface LeaseRow {
  readonly sent: boolean;
  readonly expires_at_ms: number;
  readonly renewed_at_ms: number | null;
  readonly now_ms: number;
  readonly runs_used: number;
}

/** A running attempt's lease is counted from the moment its agent was last heard of. */
const leaseStatement = defineStatement<LeaseRow>({
  name: "attempts_work_lease",
  text: `
    SELECT a.sent_at IS NOT NULL AS sent,
           (extract(epoch FROM a.lease_expires_at) * 1000)::double precision AS expires_at_ms,
           CASE WHEN a.state = 'running'
                THEN extract(epoch FROM a.lease_expires_at) * 1000 - a.work_lease_ms END::double precision AS renewed_at_ms,
           (extract(epoch FROM now()) * 1000)::double precision AS now_ms, t.runs_used
      FROM attempts a JOIN tasks t ON t.task_id = a.task_id
     WHERE a.attempt_id = $1 AND a.state IN ('assigned', 'running')`,
});

export async function workLease(db: Queryable, attemptId: string): Promise<WorkLease | null> {
  const [row] = await db.query(leaseStatement, [attemptId]);
  if (row === undefined) return null;
  return {
    sent: row.sent,
    expiresAtMs: row.expires_at_ms,
    renewedAtMs: row.renewed_at_ms,
    nowMs: row.now_ms,
    runsUsed: row.runs_used,
  };
}
