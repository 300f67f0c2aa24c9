import type { RunSql } from "../../support/run-sql.ts";

/** Rows that only half of a change would leave, and figures that no reader should ever be told; empty: none. */
export async function brokenRows(sql: RunSql): Promise<readonly string[]> {
  const rows = await sql<{ problem: string }>(
    `SELECT 'plan ' || p.plan_id || ' says ' || p.total_tasks || ' tasks and has ' || count(t.task_id) AS problem
       FROM orchestrator.plans p LEFT JOIN orchestrator.tasks t USING (plan_id)
      GROUP BY p.plan_id, p.total_tasks HAVING count(t.task_id) <> p.total_tasks
     UNION ALL
     SELECT 'plan ' || p.plan_id || ' says ' || p.unfinished_tasks || ' unfinished tasks and has ' || count(t.task_id)
       FROM orchestrator.plans p
       LEFT JOIN orchestrator.tasks t ON t.plan_id = p.plan_id AND t.state NOT IN ('succeeded', 'failed', 'cancelled')
      GROUP BY p.plan_id, p.unfinished_tasks HAVING count(t.task_id) <> p.unfinished_tasks
     UNION ALL
     SELECT 'plan ' || p.plan_id || ' has no event' FROM orchestrator.plans p
      WHERE NOT EXISTS (SELECT FROM orchestrator.events e WHERE e.plan_id = p.plan_id)
     UNION ALL
     SELECT 'task ' || t.task_id || ' is paused and has no row in the queue' FROM orchestrator.tasks t
      WHERE t.state = 'paused'
        AND NOT EXISTS (SELECT FROM orchestrator.pause_queue q WHERE q.task_id = t.task_id AND q.status = 'waiting')
     UNION ALL
     SELECT 'task ' || t.task_id || ' is ' || t.state || ' and waits in the queue' FROM orchestrator.tasks t
       JOIN orchestrator.pause_queue q ON q.task_id = t.task_id AND q.status = 'waiting'
      WHERE t.state IN ('succeeded', 'failed', 'cancelled', 'running', 'assigned')
     UNION ALL
     SELECT 'reservation ' || attempt_id || ' promises less than nothing' FROM registry.reservations
      WHERE cpu_millicores < 0 OR memory_mib < 0 OR fence < 1`,
  );
  return rows.slice(0, 20).map(({ problem }) => problem);
}
