import { defineStatement, type Queryable } from "@headroom/postgres";
import type { QueuePlace, RunningExpectation } from "../port.ts";

/**
 * What is ahead of it in the index that the order of the queue is read from, no further than the bound. What can never fit competes
 * with nobody: it may stand at the front for days.
 */
const placeStatement = defineStatement<{ readonly higher: number; readonly same: number; readonly now_ms: number }>({
  name: "pause_queue_place",
  text: `
    SELECT count(*) FILTER (WHERE ahead.is_higher) AS higher, count(*) FILTER (WHERE NOT ahead.is_higher) AS same,
           (extract(epoch FROM now()) * 1000)::double precision AS now_ms
      FROM pause_queue mine
      LEFT JOIN LATERAL (
           SELECT q.priority > mine.priority AS is_higher
             FROM pause_queue q
            WHERE q.status = 'waiting' AND NOT q.blocked AND NOT q.later AND q.reason <> 'NO_AGENT_CAN_EVER_FIT'
              AND (q.rank, q.pause_queue_id) < (mine.rank, mine.pause_queue_id)
            LIMIT $2) AS ahead ON true
     WHERE mine.task_id = $1 AND mine.status = 'waiting' AND NOT mine.blocked
     GROUP BY mine.task_id`,
});

export async function queuePlace(db: Queryable, taskId: string, bound: number): Promise<QueuePlace | null> {
  const [row] = await db.query(placeStatement, [taskId, bound]);
  return row === undefined ? null : { higherPriority: row.higher, samePriority: row.same, nowMs: row.now_ms };
}

/** Since they were given out, by this clock alone: when they started is told by the clocks of their agents. */
const runningStatement = defineStatement<{ readonly elapsed_ms: number; readonly expected_duration_ms: number | null }>(
  {
    name: "attempts_running_expectations",
    text: `
    SELECT (extract(epoch FROM now() - a.assigned_at) * 1000)::double precision AS elapsed_ms, t.expected_duration_ms
      FROM attempts a JOIN tasks t ON t.task_id = a.task_id
     WHERE a.state IN ('assigned', 'running')
     ORDER BY a.assigned_at
     LIMIT $1`,
  },
);

export async function runningExpectations(db: Queryable, limit: number): Promise<readonly RunningExpectation[]> {
  const rows = await db.query(runningStatement, [limit]);
  return rows.map((row) => ({ elapsedMs: row.elapsed_ms, expectedDurationMs: row.expected_duration_ms }));
}
