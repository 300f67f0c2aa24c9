/** What a group of reports has made of its attempts, written by one statement: one round trip, one commit. */
import { classifyError, defineStatement, type Queryable } from "@headroom/postgres";
import { attemptChange, attemptChangeColumns, setAttempt } from "./attempt-changes.ts";
import { newEventsFrom } from "./events.ts";
import { waitsBriefly } from "./lock-wait.ts";
import type { AttemptChange, ReportDraft } from "./report-draft.ts";

/*
 * It was decided on rows that nobody had locked, so all or nothing is written:
 *
 * 1. `locked` locks the plans, as `lockPlans` does, and has their newest counts.
 * 2. `same` locks attempts and tasks, finds their newest versions, and keeps those that are what the decision was made on. From here
 *    on nobody changes them.
 * 3. What a plan becomes with the last of its tasks depends on how the others ended. Others that this statement does not see may have
 *    ended while it waited, so it ends a plan only if all its tasks are in this group.
 * 4. Only if all that holds anything is written.
 */
const statement = defineStatement<{ readonly holds: boolean }>({
  name: "attempts_report_at_once",
  text: `
    WITH locked AS MATERIALIZED (
      SELECT p.plan_id, p.total_tasks, p.unfinished_tasks FROM plans p
       WHERE p.plan_id = ANY($1::uuid[]) AND ${waitsBriefly} ORDER BY p.plan_id FOR NO KEY UPDATE),
    change AS MATERIALIZED (
      SELECT c.* FROM jsonb_to_recordset($2::jsonb) AS c(
           ${attemptChangeColumns},
           task_id uuid, plan_id uuid, task_state text, outcome_reason text, attempt_version text, task_version text)),
    same AS MATERIALIZED (
      SELECT c.attempt_id
        FROM change c
       CROSS JOIN LATERAL (SELECT a.xmin::text AS version FROM attempts a WHERE a.attempt_id = c.attempt_id FOR UPDATE) AS attempt
       CROSS JOIN LATERAL (SELECT t.xmin::text AS version FROM tasks t WHERE t.task_id = c.task_id FOR UPDATE) AS task
       WHERE (SELECT count(*) FROM locked) > 0
         AND attempt.version = c.attempt_version AND task.version = c.task_version),
    finishing AS MATERIALIZED (
      SELECT plan_id, count(*)::integer AS tasks,
             CASE WHEN bool_or(task_state = 'failed') THEN 'failed' WHEN bool_or(task_state = 'cancelled') THEN 'cancelled' ELSE 'succeeded' END AS outcome
        FROM change WHERE task_state IN ('succeeded', 'failed', 'cancelled') GROUP BY plan_id),
    verdict AS MATERIALIZED (
      SELECT (SELECT count(*) FROM same) = (SELECT count(*) FROM change)
             AND NOT EXISTS (SELECT 1 FROM finishing f JOIN locked l ON l.plan_id = f.plan_id
                              WHERE l.unfinished_tasks <= f.tasks AND l.total_tasks <> f.tasks) AS holds),
    attempts_written AS (
      UPDATE attempts a
         SET ${setAttempt}
        FROM change c WHERE a.attempt_id = c.attempt_id AND (SELECT holds FROM verdict)),
    tasks_run AS (
      UPDATE tasks t SET state = 'running'
        FROM change c
       WHERE t.task_id = c.task_id AND c.task_state = 'running' AND t.state <> 'running' AND (SELECT holds FROM verdict)),
    tasks_finished AS (
      UPDATE tasks t
         SET state = c.task_state, finished_at = now(), outcome_reason = c.outcome_reason, claim_owner = NULL, claim_expires_at = NULL,
             placing_attempt_id = NULL
        FROM change c
       WHERE t.task_id = c.task_id AND c.task_state IN ('succeeded', 'failed', 'cancelled') AND (SELECT holds FROM verdict)),
    plans_written AS (
      UPDATE plans p
         SET unfinished_tasks = l.unfinished_tasks - f.tasks,
             outcome = CASE WHEN l.unfinished_tasks = f.tasks THEN f.outcome ELSE p.outcome END,
             finished_at = CASE WHEN l.unfinished_tasks = f.tasks THEN now() ELSE p.finished_at END,
             held_at = CASE WHEN l.unfinished_tasks = f.tasks THEN NULL ELSE p.held_at END,
             held_by = CASE WHEN l.unfinished_tasks = f.tasks THEN '' ELSE p.held_by END,
             hold_reason = CASE WHEN l.unfinished_tasks = f.tasks THEN '' ELSE p.hold_reason END
        FROM finishing f JOIN locked l ON l.plan_id = f.plan_id
       WHERE p.plan_id = f.plan_id AND (SELECT holds FROM verdict)),
    told AS (
      INSERT INTO events (plan_id, task_id, task_name, attempt_id, agent_id, kind, from_state, to_state, pause_reason, sentence, actor, request_id, traceparent)
      SELECT plan_id, task_id, task_name, attempt_id, agent_id, kind, from_state, to_state, pause_reason, sentence, actor, request_id, traceparent
        FROM (${newEventsFrom("$3")}
              UNION ALL
              SELECT f.plan_id, NULL, '', NULL, NULL, 'PLAN_' || upper(f.outcome), NULL, NULL, NULL, '', 'orchestrator', '', '', 9e9::bigint
                FROM finishing f JOIN locked l ON l.plan_id = f.plan_id WHERE l.unfinished_tasks = f.tasks) AS e
       WHERE (SELECT holds FROM verdict)
       ORDER BY e.ordinality)
    SELECT holds FROM verdict`,
});

/** Whether the statement can say all that was decided: attempts that run, or end with a task on which no other depends. */
export function fitsAtOnce({ changes }: ReportDraft): boolean {
  return changes.every(
    ({ row, runs, refusedResults, end }) =>
      refusedResults === 0 && (end === null ? runs : end.verdict.kind === "final" && !row.has_dependents),
  );
}

/**
 * False: nothing was written, because something has changed since it was read, or a plan ends of which not all tasks are in the group, or
 * others held what it waited for while they waited for it. Throws a `conflict` when somebody keeps what it is to lock for longer than
 * it waits.
 */
export async function writeAtOnce(db: Queryable, { changes, events }: ReportDraft): Promise<boolean> {
  const planIds = new Set(changes.map(({ row }) => row.plan_id));
  try {
    const [answer] = await db.query(statement, [
      [...planIds],
      JSON.stringify(changes.map(changeWithTask)),
      JSON.stringify(events),
    ]);
    return answer?.holds === true;
  } catch (error) {
    if (classifyError(error).kind === "serialization") return false;
    throw error;
  }
}

function changeWithTask(change: AttemptChange): Record<string, unknown> {
  const { row, end } = change;
  return {
    ...attemptChange(change),
    task_id: row.task_id,
    plan_id: row.plan_id,
    task_state: row.task_state,
    outcome_reason: end?.verdict.sentence ?? "",
    attempt_version: row.attempt_version,
    task_version: row.task_version,
  };
}
