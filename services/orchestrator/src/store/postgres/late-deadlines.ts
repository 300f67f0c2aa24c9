/**
 * The time under a hold of the queue is nobody's waiting for room. That is written with the release, as the time from when to when it was
 * held; to put off the deadlines of all that waits would take minutes where much does, and would wait for each row that somebody has
 * locked. Each row is put off behind the release, in portions, or when it falls due, once for each release (`deadline_event`); whoever reads
 * it before reckons. A replica of the version before does not: for it the queue is held until the last portion is written (`queue_hold`).
 */
import { defineStatement, type Queryable } from "@headroom/postgres";
import type { PuttingOff } from "../port.ts";

/**
 * By how much the deadline of `q`, a row of the queue, is still to be put off; `t` is its task. Of each hold from when it began, or from when the
 * waiting began, where that was later.
 */
const stillToAdd = `coalesce((
           SELECT sum(e.at - greatest(e.held_since, q.wait_deadline - t.wait_timeout_ms * interval '1 millisecond'))
             FROM queue_events e
            WHERE e.held_since IS NOT NULL AND e.event_id > coalesce(q.deadline_event, 0)
              AND e.at > q.wait_deadline - t.wait_timeout_ms * interval '1 millisecond'), interval '0')`;

/** When the task `t` of `q` really fails. */
export const waitDeadline = `(q.wait_deadline + ${stillToAdd})`;

// Somebody else may have put a row off since this statement began, by a release that it does not see: that is not to be done again.
const putOff = (due: string, returning: string): string => `
    WITH due AS MATERIALIZED (${due}
         FOR UPDATE SKIP LOCKED),
    late AS MATERIALIZED (
      SELECT q.pause_queue_id, q.wait_deadline AS was, ${waitDeadline} AS wait_deadline,
             greatest(q.deadline_event, (SELECT max(event_id) FROM queue_events WHERE held_since IS NOT NULL)) AS deadline_event
        FROM due q JOIN tasks t ON t.task_id = q.task_id)
    UPDATE pause_queue p
       SET wait_deadline = late.wait_deadline, deadline_event = late.deadline_event
      FROM late
     WHERE p.pause_queue_id = late.pause_queue_id
 RETURNING ${returning}`;

const columns = "pause_queue_id, task_id, wait_deadline, deadline_event";

const selectReleasing = defineStatement<{ readonly released_event: number }>({
  name: "queue_hold_get_releasing",
  answerWithinMs: 5_000,
  text: `SELECT released_event FROM queue_hold WHERE NOT is_held`,
});

// What has waited only since the release is late by none of it.
const putOffNext = defineStatement<{ readonly rows: number; readonly through: string | null }>({
  name: "pause_queue_put_off_next",
  text: `
    WITH written AS (${putOff(
      `
      SELECT ${columns} FROM pause_queue
       WHERE status = 'waiting' AND wait_deadline >= $2::timestamptz AND coalesce(deadline_event, 0) < $1
         AND paused_at <= (SELECT at FROM queue_events WHERE event_id = $1)
       ORDER BY wait_deadline
       LIMIT $3`,
      "late.was",
    )})
    SELECT count(*) AS rows, max(was)::text AS through FROM written`,
});

const endReleasing = defineStatement({
  name: "queue_hold_end_releasing",
  text: `DELETE FROM queue_hold WHERE NOT is_held AND released_event = $1`,
});

const fromTheFirst = "-infinity";

/**
 * Those that fall due first, at most `limit`, from where it came to before. At the end it begins again, because rows that somebody had locked are
 * free mostly; once it finds none any more, what is still locked is put off when it falls due, and null is answered: there is nothing to do.
 */
export async function putOffAfterRelease(
  db: Queryable,
  limit: number,
  before: PuttingOff | null,
): Promise<PuttingOff | null> {
  const [releasing] = await db.query(selectReleasing);
  if (releasing === undefined) return null;
  const eventId = releasing.released_event;
  const from = before?.eventId === eventId ? before : { eventId, through: fromTheFirst, hasFound: false };
  const [written] = await db.query(putOffNext, [eventId, from.through, limit]);
  const { rows, through } = written ?? { rows: 0, through: null };
  if (rows >= limit && through !== null) return { eventId, through, hasFound: true };
  if (rows > 0 || from.hasFound) return { eventId, through: fromTheFirst, hasFound: false };
  await db.execute(endReleasing, [eventId]);
  return null;
}

const putOffThese = defineStatement<{ readonly task_id: string }>({
  name: "pause_queue_put_off",
  text: putOff(
    `
      SELECT ${columns} FROM pause_queue
       WHERE task_id = ANY($1::uuid[]) AND status = 'waiting' AND wait_deadline IS NOT NULL`,
    "p.task_id",
  ),
});

/** Of these tasks; answers those whose rows nobody else has locked. */
export async function putOffDeadlines(db: Queryable, taskIds: readonly string[]): Promise<ReadonlySet<string>> {
  if (taskIds.length === 0) return new Set();
  return new Set((await db.query(putOffThese, [taskIds])).map((row) => row.task_id));
}
