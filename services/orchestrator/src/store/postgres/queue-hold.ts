import { type Database, defineStatement, type Queryable } from "@headroom/postgres";
import type { HoldRecord, HoldRequest, QueueEventRecord } from "../model.ts";
import { BadCursorError, type Listed, type Page } from "../port.ts";
import { listed } from "./cursor.ts";

interface HoldRow {
  readonly reason: string;
  readonly held_by: string;
  readonly held_at: number;
}

const selectHold = defineStatement<HoldRow>({
  name: "queue_hold_get",
  answerWithinMs: 5_000,
  text: `SELECT reason, held_by, held_at FROM queue_hold`,
});

export async function queueHold(db: Queryable): Promise<HoldRecord | null> {
  const [row] = await db.query(selectHold);
  return row === undefined ? null : holdFromRow(row);
}

const insertHold = defineStatement<HoldRow>({
  name: "queue_hold_insert",
  text: `
    INSERT INTO queue_hold (reason, held_by) VALUES ($1, $2)
        ON CONFLICT (is_held) DO UPDATE SET reason = excluded.reason, held_by = excluded.held_by
 RETURNING reason, held_by, held_at`,
});

/** Whoever places them finds their claims gone, and gives the room back that it was promised. */
const takeClaimsAway = defineStatement({
  name: "tasks_take_claims_away",
  text: `
    UPDATE tasks SET claim_owner = NULL, claim_expires_at = NULL
     WHERE claim_expires_at IS NOT NULL AND state IN ('pending', 'paused')`,
});

export function holdQueue(db: Database, request: HoldRequest): Promise<HoldRecord> {
  return db.transaction(async (tx) => {
    const [row] = await tx.query(insertHold, [request.reason, request.by]);
    if (row === undefined) throw new Error("the hold of the queue was not written");
    await tx.execute(takeClaimsAway);
    await tx.execute(insertEvent, ["QUEUE_HELD", request.reason, request.by, request.call.requestId]);
    return holdFromRow(row);
  });
}

const deleteHold = defineStatement<HoldRow>({
  name: "queue_hold_delete",
  text: `DELETE FROM queue_hold RETURNING reason, held_by, held_at`,
});

/** The time under a hold is nobody's waiting for room: from when it was held, or from when the waiting began, where that was later. */
const shiftDeadlines = defineStatement({
  name: "pause_queue_shift_deadlines",
  text: `
    UPDATE pause_queue q
       SET wait_deadline = q.wait_deadline + greatest(interval '0', now()
             - greatest(to_timestamp($1 / 1000.0), q.wait_deadline - t.wait_timeout_ms * interval '1 millisecond'))
      FROM tasks t
     WHERE q.status = 'waiting' AND q.wait_deadline IS NOT NULL AND t.task_id = q.task_id`,
});

export function releaseQueue(db: Database, request: HoldRequest): Promise<HoldRecord | null> {
  return db.transaction(async (tx) => {
    const [row] = await tx.query(deleteHold);
    if (row === undefined) return null;
    await tx.execute(shiftDeadlines, [row.held_at]);
    await tx.execute(insertEvent, ["QUEUE_RELEASED", request.reason, request.by, request.call.requestId]);
    return holdFromRow(row);
  });
}

const insertEvent = defineStatement({
  name: "queue_events_insert",
  text: `INSERT INTO queue_events (kind, reason, by, request_id) VALUES ($1, $2, $3, $4)`,
});

interface QueueEventRow {
  readonly event_id: number;
  readonly at: number;
  readonly kind: QueueEventRecord["kind"];
  readonly reason: string;
  readonly by: string;
  readonly request_id: string;
}

const selectEvents = defineStatement<QueueEventRow>({
  name: "queue_events_list",
  text: `
    SELECT event_id, at, kind, reason, by, request_id
      FROM queue_events
     WHERE $1::bigint IS NULL OR event_id < $1
     ORDER BY event_id DESC
     LIMIT $2`,
});

export async function listQueueEvents(db: Queryable, page: Page): Promise<Listed<QueueEventRecord>> {
  if (page.after !== null && !/^\d{1,15}$/.test(page.after)) throw new BadCursorError("not a cursor of this list");
  const rows = await db.query(selectEvents, [page.after, page.limit + 1]);
  return listed(rows, page.limit, (row) => [String(row.event_id)], eventFromRow);
}

function eventFromRow(row: QueueEventRow): QueueEventRecord {
  const { kind, reason, by } = row;
  return { eventId: row.event_id, atMs: row.at, kind, reason, by, requestId: row.request_id };
}

function holdFromRow(row: HoldRow): HoldRecord {
  return { reason: row.reason, heldBy: row.held_by, heldAtMs: row.held_at };
}
