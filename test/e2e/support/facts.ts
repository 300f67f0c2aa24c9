import { waitFor } from "@headroom/testing";
import type { RunSql } from "../../support/run-sql.ts";
import type { Cluster } from "./cluster.ts";

/** What is promised at the moment, read from the registry's tables. */
export interface Promised {
  readonly reservations: number;
  readonly cpuMillicores: number;
  readonly memoryMib: number;
}

export async function promised(sql: RunSql): Promise<Promised> {
  const [row] = await sql<{ n: string; cpu: string; memory: string }>(
    `SELECT count(*) AS n, coalesce(sum(cpu_millicores), 0) AS cpu, coalesce(sum(memory_mib), 0) AS memory
       FROM registry.reservations WHERE state <> 'released'`,
  );
  return { reservations: Number(row!.n), cpuMillicores: Number(row!.cpu), memoryMib: Number(row!.memory) };
}

/** Waits until nothing is promised any more: every task's room has come back. `forMs`: and stays so for this time. */
export async function nothingPromised(
  cluster: Cluster,
  { timeoutMs = 45_000, forMs = 0 }: { readonly timeoutMs?: number; readonly forMs?: number } = {},
): Promise<void> {
  let seen: Promised | undefined;
  let sinceMs: number | undefined;
  await waitFor(
    async () => {
      seen = await promised(cluster.sql);
      if (seen.reservations > 0) sinceMs = undefined;
      else sinceMs ??= performance.now();
      return sinceMs !== undefined && performance.now() - sinceMs >= forMs;
    },
    { timeoutMs, describe: () => `no reservation left; seen ${JSON.stringify(seen)}\n${cluster.logs()}` },
  );
}

/** How the queue stands, by task name: one word a row, oldest first. */
export async function queueRows(sql: RunSql, planId: string): Promise<Readonly<Record<string, readonly string[]>>> {
  const rows = await sql<{ name: string; status: string }>(
    `SELECT t.name, q.status FROM orchestrator.pause_queue q JOIN orchestrator.tasks t USING (task_id)
      WHERE q.plan_id = $1 ORDER BY q.paused_at, q.pause_queue_id`,
    [planId],
  );
  const byTask: Record<string, string[]> = {};
  for (const { name, status } of rows) (byTask[name] ??= []).push(status);
  return byTask;
}

/**
 * What must be true of every plan that has ended well, whatever happened on the way: each task one attempt that counts, no queue
 * row waiting, each resumed row resumed at a time and by one event.
 */
export async function brokenBooks(sql: RunSql, planId: string): Promise<readonly string[]> {
  const rows = await sql<{ problem: string }>(
    `SELECT 'task ' || name || ' is ' || state AS problem
       FROM orchestrator.tasks WHERE plan_id = $1 AND state <> 'succeeded'
     UNION ALL
     SELECT 'task ' || t.name || ' succeeded ' || count(a.attempt_id) || ' times'
       FROM orchestrator.tasks t LEFT JOIN orchestrator.attempts a ON a.task_id = t.task_id AND a.state = 'succeeded'
      WHERE t.plan_id = $1 GROUP BY t.task_id, t.name HAVING count(a.attempt_id) <> 1
     UNION ALL
     SELECT 'attempt ' || attempt_id || ' is still ' || state
       FROM orchestrator.attempts WHERE plan_id = $1 AND state IN ('assigned', 'running')
     UNION ALL
     SELECT 'queue row ' || pause_queue_id || ' still waits: ' || reason
       FROM orchestrator.pause_queue WHERE plan_id = $1 AND status = 'waiting'
     UNION ALL
     SELECT 'queue row ' || pause_queue_id || ' is resumed without a time'
       FROM orchestrator.pause_queue WHERE plan_id = $1 AND status = 'resumed' AND resumed_at IS NULL
     UNION ALL
     SELECT 'task ' || t.name || ' has ' || coalesce(q.n, 0) || ' resumed rows and ' || coalesce(e.n, 0) || ' TASK_RESUMED events'
       FROM orchestrator.tasks t
       LEFT JOIN (SELECT task_id, count(*) AS n FROM orchestrator.pause_queue WHERE status = 'resumed' GROUP BY task_id) q USING (task_id)
       LEFT JOIN (SELECT task_id, count(*) AS n FROM orchestrator.events WHERE kind = 'TASK_RESUMED' GROUP BY task_id) e USING (task_id)
      WHERE t.plan_id = $1 AND coalesce(q.n, 0) <> coalesce(e.n, 0)`,
    [planId],
  );
  return rows.map(({ problem }) => problem);
}
