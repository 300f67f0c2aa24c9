import { defineStatement, type Queryable } from "@headroom/postgres";
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
  readonly rank: number;
  readonly waiting_since: number;
  readonly expected_duration_ms: number | null;
  readonly placing_attempt_id: string;
  readonly may_hold_room: boolean;
  readonly fence: number;
}

const takeClaim = (from: string): string => `
    UPDATE tasks t
       SET claim_owner = $1,
           claim_expires_at = now() + $2 * interval '1 millisecond',
           fence = t.fence + 1,
           placing_attempt_id = coalesce(t.placing_attempt_id, gen_random_uuid())
      FROM ${from}
     WHERE t.task_id = due.task_id
 RETURNING t.task_id, t.plan_id, t.name, t.state, t.needs, t.shape_key, t.priority, t.rank, due.waiting_since, t.expected_duration_ms,
           t.placing_attempt_id, due.may_hold_room, t.fence`;

/**
 * What one claim takes of a shape at most. It stands in the text of the inner query, because a parameter there misleads the planner; the outer
 * one stops it, and with it the locking, at what was asked for.
 */
const mostOfShape = 500;
/** And of all shapes, which the planner would take for thousands. */
const mostClaimed = 500;

/**
 * A claim need not survive a crash of the database or a failover to a standby, which is what waiting for the disk and for the standby
 * would be for: what it promised is found by nobody then, and whatever its owner writes is refused by the guards. The same owner may
 * claim the task again, under the same fence but with another attempt id, which `assign` compares as well. What another transaction
 * saw of a claim and was committed on is behind it in the log, and never there without it. Only a kept attempt id must not be
 * given out twice under one fence.
 */
const withoutDiskWait = `
    fast AS MATERIALIZED (
      SELECT set_config('synchronous_commit', CASE WHEN bool_or(may_hold_room) THEN current_setting('synchronous_commit') ELSE 'off' END, true)
        FROM due)`;

const claimWaitingStatement = defineStatement<ClaimedRow>({
  name: "tasks_claim_waiting",
  text: `
    WITH due AS MATERIALIZED (
      SELECT due.*
        FROM unnest($3::text[], $4::integer[]) AS wanted(shape_key, number)
       CROSS JOIN LATERAL (
             SELECT task_id, waiting_since, may_hold_room
               FROM (SELECT t.task_id, p.paused_at AS waiting_since, t.placing_attempt_id IS NOT NULL AS may_hold_room
                       FROM pause_queue p
                       JOIN tasks t ON t.task_id = p.task_id
                      WHERE p.status = 'waiting' AND NOT p.blocked AND NOT p.later
                        AND p.shape_key = wanted.shape_key
                        AND ($5::uuid IS NULL OR p.plan_id = $5) AND NOT p.plan_id = ANY ($6::uuid[])
                        AND t.state = 'paused'
                        AND (t.claim_expires_at IS NULL OR t.claim_expires_at <= now())
                      ORDER BY p.rank, p.pause_queue_id
                      LIMIT ${mostOfShape}
                        FOR UPDATE OF t SKIP LOCKED) AS front
              LIMIT wanted.number) AS due
       LIMIT ${mostClaimed}),${withoutDiskWait}${takeClaim("due CROSS JOIN fast")}`,
});

export async function claimWaiting(db: Queryable, request: ClaimWaiting): Promise<readonly ClaimedTask[]> {
  const { owner, leaseMs, shapes, planId, exceptPlanIds } = request;
  const keys = shapes.map(({ shapeKey }) => shapeKey);
  const limits = shapes.map(({ limit }) => limit);
  return inQueueOrder(await db.query(claimWaitingStatement, [owner, leaseMs, keys, limits, planId, exceptPlanIds]));
}

const claimOrphansStatement = defineStatement<ClaimedRow>({
  name: "tasks_claim_orphans",
  text: `
    WITH due AS MATERIALIZED (
      SELECT task_id, created_at AS waiting_since, placing_attempt_id IS NOT NULL AS may_hold_room
        FROM tasks
       WHERE (state = 'pending' OR (state = 'paused' AND claim_expires_at IS NOT NULL))
         AND (claim_expires_at IS NULL OR claim_expires_at <= now())
         AND ($3::uuid IS NULL OR plan_id = $3)
         AND NOT EXISTS (SELECT FROM plans p WHERE p.plan_id = tasks.plan_id AND p.held_at IS NOT NULL)
       ORDER BY rank, task_id
       LIMIT $4
         FOR UPDATE SKIP LOCKED)${takeClaim("due")}`,
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
    .sort((a, b) => a.rank - b.rank || (a.task_id < b.task_id ? -1 : 1))
    .map((row) => ({
      taskId: row.task_id,
      planId: row.plan_id,
      taskName: row.name,
      state: row.state,
      needs: row.needs,
      shapeKey: row.shape_key,
      priority: row.priority,
      rank: row.rank,
      pausedAtMs: row.waiting_since,
      expectedDurationMs: row.expected_duration_ms,
      attemptId: row.placing_attempt_id,
      mayHoldRoom: row.may_hold_room,
      fence: row.fence,
    }));
}
