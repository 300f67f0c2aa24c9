/**
 * A task that ends changes what depends on it, under the plan's lock. Somebody who keeps a row of that locked would keep all of the plan waiting,
 * and all that is written together with it: so these rows are locked before anything is written, and none is waited for.
 */
import { defineStatement, type Transaction } from "@headroom/postgres";
import { openAfter } from "./dependents.ts";
import type { AttemptChange } from "./report-draft.ts";

// EXCEPT reads all of what it leaves out: that is what takes the locks. A dependent's row of the queue is changed with the last task for which it waits.
const lockNext = defineStatement<{ readonly task_id: string }>({
  name: "tasks_lock_next",
  text: `
    WITH next AS MATERIALIZED (
      SELECT d.depends_on_task_id, t.task_id, t.depends_remaining
        FROM task_dependencies d JOIN tasks t ON t.task_id = d.task_id
       WHERE d.depends_on_task_id = ANY($1::uuid[]) AND t.state = 'paused'),
    changed AS MATERIALIZED (SELECT DISTINCT task_id FROM next),
    locked AS MATERIALIZED (
      SELECT free.task_id
        FROM changed
       CROSS JOIN LATERAL (
             SELECT t.task_id FROM tasks t WHERE t.task_id = changed.task_id FOR NO KEY UPDATE SKIP LOCKED) AS free),
    released AS MATERIALIZED (
      SELECT q.task_id
        FROM (SELECT task_id FROM next GROUP BY task_id, depends_remaining HAVING count(*) >= depends_remaining) AS last
       CROSS JOIN LATERAL (
             SELECT q.task_id FROM pause_queue q WHERE q.task_id = last.task_id AND q.status = 'waiting' OFFSET 0) AS q),
    locked_rows AS MATERIALIZED (
      SELECT free.task_id
        FROM released
       CROSS JOIN LATERAL (
             SELECT q.task_id FROM pause_queue q
              WHERE q.task_id = released.task_id AND q.status = 'waiting' FOR NO KEY UPDATE SKIP LOCKED) AS free),
    kept AS (
      (SELECT task_id FROM changed EXCEPT SELECT task_id FROM locked)
      UNION ALL
      (SELECT task_id FROM released EXCEPT SELECT task_id FROM locked_rows))
    SELECT DISTINCT next.depends_on_task_id AS task_id FROM next JOIN kept ON kept.task_id = next.task_id`,
});

// All down the graph, once for all tasks that end; and from what is kept up again, to those for which it matters.
const lockAllBehind = defineStatement<{ readonly task_id: string }>({
  name: "tasks_lock_all_behind",
  text: `
    WITH RECURSIVE dependents(task_id) AS (
      SELECT next.task_id FROM unnest($1::uuid[]) AS ended(task_id) ${openAfter}
      UNION
      SELECT next.task_id FROM dependents AS ended ${openAfter}),
    locked AS MATERIALIZED (
      SELECT free.task_id
        FROM dependents
       CROSS JOIN LATERAL (
             SELECT t.task_id FROM tasks t WHERE t.task_id = dependents.task_id FOR NO KEY UPDATE SKIP LOCKED) AS free),
    waiting AS MATERIALIZED (
      SELECT q.task_id
        FROM dependents
       CROSS JOIN LATERAL (
             SELECT q.task_id FROM pause_queue q WHERE q.task_id = dependents.task_id AND q.status = 'waiting' OFFSET 0) AS q),
    locked_rows AS MATERIALIZED (
      SELECT free.task_id
        FROM waiting
       CROSS JOIN LATERAL (
             SELECT q.task_id FROM pause_queue q
              WHERE q.task_id = waiting.task_id AND q.status = 'waiting' FOR NO KEY UPDATE SKIP LOCKED) AS free),
    kept AS MATERIALIZED (
      (SELECT task_id FROM dependents EXCEPT SELECT task_id FROM locked)
      UNION ALL
      (SELECT task_id FROM waiting EXCEPT SELECT task_id FROM locked_rows)),
    above(task_id) AS (
      SELECT task_id FROM kept
      UNION
      SELECT d.depends_on_task_id
        FROM above
       CROSS JOIN LATERAL (
             SELECT d.depends_on_task_id FROM task_dependencies d WHERE d.task_id = above.task_id OFFSET 0) AS d)
    SELECT task_id FROM above WHERE task_id = ANY($1::uuid[])`,
});

/**
 * Locks what depends on the tasks that end. Answers those of them of which some is kept locked by somebody else: they cannot end now. The plans are
 * locked, so nothing comes to depend on them.
 */
export async function lockDependents(tx: Transaction, changes: readonly AttemptChange[]): Promise<ReadonlySet<string>> {
  const succeeded: string[] = [];
  const unsuccessful: string[] = [];
  for (const { row, end } of changes) {
    if (end?.verdict.kind !== "final" || !row.has_dependents) continue;
    (end.verdict.taskState === "succeeded" ? succeeded : unsuccessful).push(row.task_id);
  }
  const kept = [
    ...(succeeded.length === 0 ? [] : await tx.query(lockNext, [succeeded])),
    ...(unsuccessful.length === 0 ? [] : await tx.query(lockAllBehind, [unsuccessful])),
  ];
  return new Set(kept.map(({ task_id }) => task_id));
}
