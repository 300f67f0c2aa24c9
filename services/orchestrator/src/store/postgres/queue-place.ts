import { defineStatement, type Queryable } from "@headroom/postgres";
import type { QueuePlace, RunningExpectation } from "../port.ts";

/** Two ranges of the index that the queue is served from, each read no further than the bound. */
const placeStatement = defineStatement<{ readonly higher: number; readonly same: number }>({
  name: "pause_queue_place",
  text: `
    SELECT (SELECT count(*) FROM (
             SELECT 1 FROM pause_queue q
              WHERE q.status = 'waiting' AND NOT q.blocked AND q.priority > mine.priority
                AND (q.resume_after IS NULL OR q.resume_after <= now())
              LIMIT $2) AS ahead) AS higher,
           (SELECT count(*) FROM (
             SELECT 1 FROM pause_queue q
              WHERE q.status = 'waiting' AND NOT q.blocked AND q.priority = mine.priority
                AND (q.paused_at, q.pause_queue_id) < (mine.paused_at, mine.pause_queue_id)
                AND (q.resume_after IS NULL OR q.resume_after <= now())
              LIMIT $2) AS ahead) AS same
      FROM pause_queue mine
     WHERE mine.task_id = $1 AND mine.status = 'waiting' AND NOT mine.blocked`,
});

export async function queuePlace(db: Queryable, taskId: string, bound: number): Promise<QueuePlace | null> {
  const [row] = await db.query(placeStatement, [taskId, bound]);
  return row === undefined ? null : { higherPriority: row.higher, samePriority: row.same };
}

const runningStatement = defineStatement<{ readonly since: number; readonly expected_duration_ms: number | null }>({
  name: "attempts_running_expectations",
  text: `
    SELECT coalesce(a.started_at, a.assigned_at) AS since, t.expected_duration_ms
      FROM attempts a JOIN tasks t ON t.task_id = a.task_id
     WHERE a.state IN ('assigned', 'running')
     ORDER BY a.assigned_at
     LIMIT $1`,
});

export async function runningExpectations(db: Queryable, limit: number): Promise<readonly RunningExpectation[]> {
  const rows = await db.query(runningStatement, [limit]);
  return rows.map((row) => ({ sinceMs: row.since, expectedDurationMs: row.expected_duration_ms }));
}
