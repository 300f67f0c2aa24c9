import { defineStatement, type Queryable, type Statement } from "@headroom/postgres";
import type { Needs } from "@headroom/scheduling";
import type { ClaimedTask } from "../model.ts";
import type { Claimer, ClaimWaiting } from "../port.ts";

interface ClaimedRow {
  readonly task_id: string;
  readonly plan_id: string;
  readonly name: string;
  readonly state: "pending" | "paused";
  readonly needs: Needs;
  readonly shape_key: string;
  readonly priority: number;
  readonly waiting_since: number;
  readonly order_key: string;
  readonly expected_duration_ms: number | null;
  readonly placing_attempt_id: string;
  readonly may_hold_room: boolean;
  readonly fence: number;
}

const takeClaim = `
    UPDATE tasks t
       SET claim_owner = $1,
           claim_expires_at = now() + $2 * interval '1 millisecond',
           fence = t.fence + 1,
           placing_attempt_id = coalesce(t.placing_attempt_id, gen_random_uuid())
      FROM due
     WHERE t.task_id = due.task_id
 RETURNING t.task_id, t.plan_id, t.name, t.state, t.needs, t.shape_key, t.priority, due.waiting_since, due.order_key,
           t.expected_duration_ms, t.placing_attempt_id, due.may_hold_room, t.fence`;

/** Limits stand in the text: a parameter there misleads the planner. Four of them are enough. */
const claimLimits = [16, 64, 256, 500] as const;

const claimWaitingStatements: ReadonlyMap<number, Statement<ClaimedRow>> = new Map(
  claimLimits.map((limit) => [
    limit,
    defineStatement<ClaimedRow>({
      name: `tasks_claim_waiting_${limit}`,
      text: `
    WITH due AS MATERIALIZED (
      SELECT t.task_id, p.paused_at AS waiting_since, to_char(p.paused_at, 'YYYYMMDDHH24MISSUS') || p.pause_queue_id::text AS order_key,
             t.placing_attempt_id IS NOT NULL AS may_hold_room
        FROM pause_queue p
        JOIN tasks t ON t.task_id = p.task_id
       WHERE p.status = 'waiting' AND NOT p.blocked
         AND (p.resume_after IS NULL OR p.resume_after <= now())
         AND p.uses_gpu = ANY($3::boolean[])
         AND p.shape_key <> ALL($4::text[])
         AND ($5::uuid IS NULL OR p.plan_id = $5)
         AND t.state = 'paused'
         AND (t.claim_expires_at IS NULL OR t.claim_expires_at <= now())
       ORDER BY p.priority DESC, p.paused_at, p.pause_queue_id
       LIMIT ${limit}
         FOR UPDATE OF t SKIP LOCKED)${takeClaim}`,
    }),
  ]),
);

/** Never more than asked for; when fewer are wanted than the smallest statement takes, the smallest is used. */
function statementFor(limit: number): Statement<ClaimedRow> {
  const size = claimLimits.findLast((candidate) => candidate <= limit) ?? claimLimits[0];
  const statement = claimWaitingStatements.get(size);
  if (statement === undefined) throw new RangeError(`no claim statement of size ${size}`);
  return statement;
}

export async function claimWaiting(db: Queryable, request: ClaimWaiting): Promise<readonly ClaimedTask[]> {
  const uses = [...(request.gpuTasks ? [true] : []), ...(request.cpuTasks ? [false] : [])];
  if (uses.length === 0) return [];
  const rows = await db.query(statementFor(request.limit), [
    request.owner,
    request.leaseMs,
    uses,
    request.exceptShapes,
    request.planId,
  ]);
  return inQueueOrder(rows);
}

const claimOrphansStatement = defineStatement<ClaimedRow>({
  name: "tasks_claim_orphans",
  text: `
    WITH due AS MATERIALIZED (
      SELECT task_id, created_at AS waiting_since, to_char(position, 'FM0000000000') AS order_key,
             placing_attempt_id IS NOT NULL AS may_hold_room
        FROM tasks
       WHERE (state = 'pending' OR (state = 'paused' AND claim_expires_at IS NOT NULL))
         AND (claim_expires_at IS NULL OR claim_expires_at <= now())
         AND ($3::uuid IS NULL OR plan_id = $3)
       ORDER BY priority DESC, created_at, position
       LIMIT $4
         FOR UPDATE SKIP LOCKED)${takeClaim}`,
});

/**
 * Pending tasks that nobody claims, and whatever a dead claimer held: it may hold room too, which is to be used or given
 * back. Also within the transaction that accepts a plan, so that no other replica sees its tasks
 * unclaimed.
 */
export async function claimOrphans(
  db: Queryable,
  claimer: Claimer,
  limit: number,
  planId: string | null,
): Promise<readonly ClaimedTask[]> {
  return inQueueOrder(await db.query(claimOrphansStatement, [claimer.owner, claimer.leaseMs, planId, limit]));
}

// The condition is the one of the index on claims, word for word: without it all tasks would be read.
const giveBackStatement = defineStatement({
  name: "tasks_give_back_claims",
  text: `UPDATE tasks SET claim_owner = NULL, claim_expires_at = NULL
          WHERE (state = 'pending' OR (state = 'paused' AND claim_expires_at IS NOT NULL)) AND claim_owner = $1`,
});

export function giveBackClaims(db: Queryable, owner: string): Promise<number> {
  return db.execute(giveBackStatement, [owner]);
}

function inQueueOrder(rows: readonly ClaimedRow[]): readonly ClaimedTask[] {
  return [...rows]
    .sort(
      (a, b) => b.priority - a.priority || a.waiting_since - b.waiting_since || (a.order_key < b.order_key ? -1 : 1),
    )
    .map((row) => ({
      taskId: row.task_id,
      planId: row.plan_id,
      taskName: row.name,
      state: row.state,
      needs: row.needs,
      shapeKey: row.shape_key,
      priority: row.priority,
      pausedAtMs: row.waiting_since,
      expectedDurationMs: row.expected_duration_ms,
      attemptId: row.placing_attempt_id,
      mayHoldRoom: row.may_hold_room,
      fence: row.fence,
    }));
}
