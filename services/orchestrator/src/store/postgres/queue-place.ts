import { defineStatement, type Queryable } from "@headroom/postgres";
import type { QueuePlace, RunningExpectation } from "../port.ts";

interface PlaceRow {
  readonly higher: number;
  readonly same: number;
  readonly shapes: QueuePlace["aheadByShape"];
  readonly now_ms: number;
}

/** Shapes of which the needs are read. */
const mostShapes = 200;

/**
 * What is ahead of it in the index that the order of the queue is read from, no further than the bound. What can never fit competes
 * with nobody: it may stand at the front for days. Durations are looked up by key, task by task: a join may read the table as a whole.
 */
const placeStatement = defineStatement<PlaceRow>({
  name: "pause_queue_place",
  text: `
    WITH mine AS MATERIALIZED (
      SELECT priority, rank, pause_queue_id FROM pause_queue WHERE task_id = $1 AND status = 'waiting' AND NOT blocked),
    ahead AS MATERIALIZED (
      SELECT before.*
        FROM mine
       CROSS JOIN LATERAL (
             SELECT q.task_id, q.shape_key, q.priority > mine.priority AS is_higher
               FROM pause_queue q
              WHERE q.status = 'waiting' AND NOT q.blocked AND NOT q.later AND q.reason <> 'NO_AGENT_CAN_EVER_FIT'
                AND (q.rank, q.pause_queue_id) < (mine.rank, mine.pause_queue_id)
              LIMIT $2) AS before),
    shapes AS MATERIALIZED (
      SELECT (array_agg(ahead.task_id))[1] AS task_id, count(*) AS tasks,
             CASE WHEN count(*) = count(t.expected_duration_ms) THEN min(t.expected_duration_ms) END AS shortest_ms
        FROM ahead
       CROSS JOIN LATERAL (SELECT expected_duration_ms FROM tasks WHERE task_id = ahead.task_id OFFSET 0) AS t
       GROUP BY ahead.shape_key ORDER BY count(*) DESC LIMIT ${mostShapes})
    SELECT (SELECT count(*) FROM ahead WHERE is_higher) AS higher, (SELECT count(*) FROM ahead WHERE NOT is_higher) AS same,
           (SELECT coalesce(jsonb_agg(jsonb_build_object('needs', t.needs, 'tasks', s.tasks, 'shortestMs', s.shortest_ms)), '[]')
              FROM shapes s CROSS JOIN LATERAL (SELECT needs FROM tasks WHERE task_id = s.task_id) AS t) AS shapes,
           (extract(epoch FROM now()) * 1000)::double precision AS now_ms
      FROM mine`,
});

export async function queuePlace(db: Queryable, taskId: string, bound: number): Promise<QueuePlace | null> {
  const [row] = await db.query(placeStatement, [taskId, bound]);
  if (row === undefined) return null;
  const { higher, same, shapes, now_ms: nowMs } = row;
  return { higherPriority: higher, samePriority: same, aheadByShape: shapes, nowMs };
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
