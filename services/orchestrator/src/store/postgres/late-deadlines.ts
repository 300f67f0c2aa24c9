/**
 * The time under a hold of the queue is nobody's waiting for room. That is written with the release, as the time from when to when it was
 * held; to put off the deadlines of all that waits would take minutes where much does, and would wait for each row that somebody has
 * locked. A row is put off when it falls due at the latest, once for each release (`deadline_event`), and whoever reads it before reckons.
 */
import { defineStatement, type Queryable } from "@headroom/postgres";

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
const putOff = (due: string): string => `
    WITH due AS MATERIALIZED (${due}
         FOR UPDATE SKIP LOCKED),
    late AS MATERIALIZED (
      SELECT q.pause_queue_id, ${waitDeadline} AS wait_deadline,
             greatest(q.deadline_event, (SELECT max(event_id) FROM queue_events WHERE held_since IS NOT NULL)) AS deadline_event
        FROM due q JOIN tasks t ON t.task_id = q.task_id)
    UPDATE pause_queue p
       SET wait_deadline = late.wait_deadline, deadline_event = late.deadline_event
      FROM late
     WHERE p.pause_queue_id = late.pause_queue_id
 RETURNING p.task_id`;

const columns = "pause_queue_id, task_id, wait_deadline, deadline_event";

const putOffFirst = defineStatement({
  name: "pause_queue_put_off_first",
  text: putOff(`
      SELECT ${columns} FROM pause_queue
       WHERE status = 'waiting' AND wait_deadline IS NOT NULL
       ORDER BY wait_deadline
       LIMIT $1`),
});

/** Those that fall due first, at most `limit`; what somebody has locked is left alone. */
export async function putOffFirstDeadlines(db: Queryable, limit: number): Promise<void> {
  await db.execute(putOffFirst, [limit]);
}

const putOffThese = defineStatement<{ readonly task_id: string }>({
  name: "pause_queue_put_off",
  text: putOff(`
      SELECT ${columns} FROM pause_queue
       WHERE task_id = ANY($1::uuid[]) AND status = 'waiting' AND wait_deadline IS NOT NULL`),
});

/** Of these tasks; answers those whose rows nobody else has locked. */
export async function putOffDeadlines(db: Queryable, taskIds: readonly string[]): Promise<ReadonlySet<string>> {
  if (taskIds.length === 0) return new Set();
  return new Set((await db.query(putOffThese, [taskIds])).map((row) => row.task_id));
}
