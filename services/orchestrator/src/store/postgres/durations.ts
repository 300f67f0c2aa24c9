import { defineStatement, type Queryable } from "@headroom/postgres";
import type { LearnedDuration } from "../port.ts";

/** What a plan may declare, 365 days: a run that took longer, or less than nothing, had its clock set while it ran. */
const longestMs = 365 * 86_400_000;

/**
 * Runs that succeeded, by the names of their plan and task, and once more under the plan's name alone for tasks that are new
 * in it. The newest 16 of each are kept.
 */
const learnStatement = defineStatement({
  name: "task_durations_learn",
  text: `
    WITH runs AS MATERIALIZED (
      SELECT p.name AS plan_name, t.name AS task_name, a.finished_at,
             (extract(epoch FROM a.finished_at - a.started_at) * 1000)::bigint AS ms
        FROM attempts a JOIN tasks t ON t.task_id = a.task_id JOIN plans p ON p.plan_id = t.plan_id
       WHERE a.attempt_id = ANY($1::uuid[]) AND a.state = 'succeeded'
         AND a.finished_at - a.started_at BETWEEN interval '0' AND ${longestMs} * interval '1 millisecond'
    ), named AS (
      SELECT plan_name, task_name, finished_at, ms FROM runs UNION ALL SELECT plan_name, '', finished_at, ms FROM runs
    ), learned AS (
      SELECT plan_name, task_name, (array_agg(ms ORDER BY finished_at DESC))[1:16] AS recent_ms FROM named GROUP BY plan_name, task_name)
    INSERT INTO task_durations AS d (plan_name, task_name, recent_ms)
    SELECT plan_name, task_name, recent_ms FROM learned ORDER BY plan_name, task_name
        ON CONFLICT (plan_name, task_name)
        DO UPDATE SET recent_ms = (excluded.recent_ms || d.recent_ms)[1:16], updated_at = now()`,
});

export async function learnDurations(db: Queryable, attemptIds: readonly string[]): Promise<void> {
  if (attemptIds.length > 0) await db.execute(learnStatement, [attemptIds]);
}

// What was learned before longer ones were left out is left out here.
const selectStatement = defineStatement<{ readonly task_name: string; readonly recent_ms: readonly number[] }>({
  name: "task_durations_of_plan",
  text: `
    SELECT task_name,
           ARRAY(SELECT r.ms FROM unnest(recent_ms) WITH ORDINALITY AS r(ms, nth) WHERE r.ms BETWEEN 0 AND ${longestMs} ORDER BY r.nth) AS recent_ms
      FROM task_durations
     WHERE plan_name = $1
     ORDER BY task_name
     LIMIT 10001`,
});

export async function learnedDurations(db: Queryable, planName: string): Promise<readonly LearnedDuration[]> {
  const rows = await db.query(selectStatement, [planName]);
  return rows.map((row) => ({ taskName: row.task_name, recentMs: row.recent_ms }));
}
