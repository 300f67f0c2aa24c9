/**
 * A task that ends changes what depends on it, under the plan's lock. Somebody who keeps a row of that locked would keep all of the plan waiting,
 * and all that is written together with it: so these rows are locked before anything is written, and none is waited for.
 */
import { defineStatement, type Transaction } from "@headroom/postgres";
import { openAfter } from "./dependents.ts";
import type { AttemptChange } from "./report-draft.ts";

/*
 * EXCEPT reads all of what it leaves out: that is what takes the locks. Whatever PostgreSQL expects of the tables, which may know nothing of a plan yet,
 * each row is looked up by its key (OFFSET 0), and nothing is joined to what is kept: there may be 10,000 of both.
 */

// A dependent's row of the queue is changed with the last task for which it waits.
const lockNext = defineStatement<{ readonly task_id: string }>({
  name: "tasks_lock_next",
  text: `
    WITH next AS MATERIALIZED (
      SELECT t.task_id, t.depends_remaining, d.ending
        FROM (SELECT task_id, count(*) AS ending FROM task_dependencies WHERE depends_on_task_id = ANY($1::uuid[]) GROUP BY task_id) AS d
       CROSS JOIN LATERAL (
             SELECT t.task_id, t.depends_remaining FROM tasks t WHERE t.task_id = d.task_id AND t.state = 'paused' OFFSET 0) AS t),
    locked AS MATERIALIZED (
      SELECT free.task_id
        FROM next
       CROSS JOIN LATERAL (
             SELECT t.task_id FROM tasks t WHERE t.task_id = next.task_id FOR NO KEY UPDATE SKIP LOCKED) AS free),
    released AS MATERIALIZED (
      SELECT q.task_id
        FROM next
       CROSS JOIN LATERAL (
             SELECT q.task_id FROM pause_queue q WHERE q.task_id = next.task_id AND q.status = 'waiting' OFFSET 0) AS q
       WHERE next.ending >= next.depends_remaining),
    locked_rows AS MATERIALIZED (
      SELECT free.task_id
        FROM released
       CROSS JOIN LATERAL (
             SELECT q.task_id FROM pause_queue q
              WHERE q.task_id = released.task_id AND q.status = 'waiting' FOR NO KEY UPDATE SKIP LOCKED) AS free),
    kept AS MATERIALIZED (
      (SELECT task_id FROM next EXCEPT SELECT task_id FROM locked)
      UNION ALL
      (SELECT task_id FROM released EXCEPT SELECT task_id FROM locked_rows))
    SELECT DISTINCT before.depends_on_task_id AS task_id
      FROM kept
     CROSS JOIN LATERAL (
           SELECT d.depends_on_task_id FROM task_dependencies d WHERE d.task_id = kept.task_id OFFSET 0) AS before
     WHERE before.depends_on_task_id = ANY($1::uuid[])`,
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
