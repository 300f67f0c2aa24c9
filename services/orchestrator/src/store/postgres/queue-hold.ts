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
  text: `SELECT reason, held_by, held_at FROM queue_hold WHERE is_held`,
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

const takeClaims = defineStatement({
  name: "tasks_take_claims_away",
  text: `
    WITH claimed AS MATERIALIZED (
      SELECT task_id FROM tasks
       WHERE (state = 'pending' OR (state = 'paused' AND claim_expires_at IS NOT NULL)) AND claim_expires_at IS NOT NULL
         AND EXISTS (SELECT FROM queue_hold WHERE is_held)
       LIMIT $1
         FOR UPDATE SKIP LOCKED)
    UPDATE tasks t SET claim_owner = NULL, claim_expires_at = NULL FROM claimed WHERE t.task_id = claimed.task_id`,
});

/** Claims in one transaction, and of these at most: those that are left end by themselves. */
const claimsAtOnce = 1_000;
const maxPortions = 100;

/** Once it is committed nothing is assigned any more, whatever is claimed. */
export function holdQueue(db: Database, request: HoldRequest): Promise<HoldRecord> {
  return db.transaction(async (tx) => {
    const [row] = await tx.query(insertHold, [request.reason, request.by]);
    if (row === undefined) throw new Error("the hold of the queue was not written");
    await tx.execute(insertEvent, ["QUEUE_HELD", request.reason, request.by, request.call.requestId, null]);
    return holdFromRow(row);
  });
}

/** While the queue is held: whoever places them finds their claims gone, and gives the room back that it was promised. What somebody keeps locked is left. */
export async function takeClaimsAway(db: Queryable): Promise<void> {
  for (let portion = 0; portion < maxPortions; portion += 1) {
    if ((await db.execute(takeClaims, [claimsAtOnce])) < claimsAtOnce) return;
  }
}

const deleteHold = defineStatement<HoldRow>({
  name: "queue_hold_delete",
  text: `DELETE FROM queue_hold WHERE is_held RETURNING reason, held_by, held_at`,
});

// One that still puts deadlines off, by the release before, goes on with all of them. A replica of the version before may end it by a release of
// its own, which puts off all that waits by the time since `held_at`: so that is no earlier than this release.
const insertReleasing = defineStatement({
  name: "queue_hold_insert_releasing",
  text: `
    INSERT INTO queue_hold AS q (is_held, reason, held_by, held_at, released_event)
    SELECT false, $1, $2, now(), $3
     WHERE EXISTS (SELECT FROM pause_queue WHERE status = 'waiting' AND wait_deadline IS NOT NULL)
        ON CONFLICT (is_held) DO UPDATE
       SET reason = excluded.reason, held_by = excluded.held_by, held_at = excluded.held_at,
           released_event = excluded.released_event`,
});

/** The deadlines of what waits are put off behind it: see `late-deadlines.ts`. */
export function releaseQueue(db: Database, request: HoldRequest): Promise<HoldRecord | null> {
  return db.transaction(async (tx) => {
    const [row] = await tx.query(deleteHold);
    if (row === undefined) return null;
    const { reason, by, call } = request;
    const [event] = await tx.query(insertEvent, ["QUEUE_RELEASED", reason, by, call.requestId, row.held_at]);
    if (event === undefined) throw new Error("the release of the queue was not written");
    await tx.execute(insertReleasing, [row.reason, row.held_by, event.event_id]);
    return holdFromRow(row);
  });
}

const insertEvent = defineStatement<{ readonly event_id: number }>({
  name: "queue_events_insert",
  text: `
    INSERT INTO queue_events (kind, reason, by, request_id, held_since) VALUES ($1, $2, $3, $4, to_timestamp($5::double precision / 1000))
 RETURNING event_id`,
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
