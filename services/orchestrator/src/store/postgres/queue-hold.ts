import { type Database, defineStatement, type Queryable } from "@headroom/postgres";
import type { HoldRecord, HoldRequest, QueueEventRecord } from "../model.ts";
import { BadCursorError, type Listed, type Page } from "../port.ts";
import { listed } from "./cursor.ts";
import { putOffFirstDeadlines } from "./late-deadlines.ts";

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
    WITH claimed AS MATERIALIZED (
      SELECT task_id FROM tasks
       WHERE (state = 'pending' OR (state = 'paused' AND claim_expires_at IS NOT NULL)) AND claim_expires_at IS NOT NULL
       LIMIT $1
         FOR UPDATE SKIP LOCKED)
    UPDATE tasks t SET claim_owner = NULL, claim_expires_at = NULL FROM claimed WHERE t.task_id = claimed.task_id`,
});

/** Claims in one transaction, and of these at most: those that are left end by themselves. */
const claimsAtOnce = 1_000;
const maxPortions = 100;

/**
 * Once the hold is committed nothing is assigned any more, whatever is claimed. So no claim is waited for that somebody keeps locked, and the
 * others are taken away for the sake of those that placed them.
 */
export async function holdQueue(db: Database, request: HoldRequest): Promise<HoldRecord> {
  const hold = await db.transaction(async (tx) => {
    const [row] = await tx.query(insertHold, [request.reason, request.by]);
    if (row === undefined) throw new Error("the hold of the queue was not written");
    await tx.execute(insertEvent, ["QUEUE_HELD", request.reason, request.by, request.call.requestId, null]);
    return holdFromRow(row);
  });
  for (let portion = 0; portion < maxPortions; portion += 1) {
    if ((await db.execute(takeClaimsAway, [claimsAtOnce])) < claimsAtOnce) break;
  }
  return hold;
}

const deleteHold = defineStatement<HoldRow>({
  name: "queue_hold_delete",
  text: `DELETE FROM queue_hold RETURNING reason, held_by, held_at`,
});

/**
 * Deadlines that are put off with the release, those that come first: a replica of the version before, which knows of no other way, finds as
 * many as it sees for some time.
 */
const putOffAtOnce = 2_000;

export function releaseQueue(db: Database, request: HoldRequest): Promise<HoldRecord | null> {
  return db.transaction(async (tx) => {
    const [row] = await tx.query(deleteHold);
    if (row === undefined) return null;
    const { reason, by, call } = request;
    await tx.execute(insertEvent, ["QUEUE_RELEASED", reason, by, call.requestId, row.held_at]);
    await putOffFirstDeadlines(tx, putOffAtOnce);
    return holdFromRow(row);
  });
}

const insertEvent = defineStatement({
  name: "queue_events_insert",
  text: `
    INSERT INTO queue_events (kind, reason, by, request_id, held_since) VALUES ($1, $2, $3, $4, to_timestamp($5::double precision / 1000))`,
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
