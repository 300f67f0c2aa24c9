import { type Database, defineStatement, type Queryable } from "@headroom/postgres";
import type { TaskState } from "@headroom/scheduling";
import type { AttemptKnown, FencedAttempt } from "../model.ts";
import { appendEvents } from "./events.ts";
import { type KnownRow, knownColumns, knownFromRow } from "./known-attempts.ts";
import { lockPlans } from "./lock-plans.ts";

const planOfAttempt = defineStatement<{ readonly plan_id: string }>({
  name: "attempts_plan",
  text: `SELECT plan_id FROM attempts WHERE attempt_id = $1`,
});

export async function findPlanOf(db: Queryable, attemptId: string): Promise<string | null> {
  const [row] = await db.query(planOfAttempt, [attemptId]);
  return row?.plan_id ?? null;
}

interface OpenRow extends KnownRow {
  readonly task_state: TaskState;
  readonly task_name: string;
  readonly started: boolean;
}

const lockOpen = defineStatement<OpenRow>({
  name: "attempts_lock_open",
  text: `
    SELECT ${knownColumns}, t.state AS task_state, t.name AS task_name, a.started_at IS NOT NULL AS started
      FROM attempts a JOIN tasks t ON t.task_id = a.task_id
     WHERE a.attempt_id = $1 AND a.fence = $2 AND a.agent_id = $3 AND a.state IN ('assigned', 'running') AND t.attempt_id = a.attempt_id
       FOR UPDATE OF a, t`,
});

const markRunning = defineStatement({
  name: "attempts_mark_running",
  text: `
    UPDATE attempts
       SET state = 'running', accepted_at = coalesce(accepted_at, now()),
           lease_expires_at = now() + work_lease_ms * interval '1 millisecond',
           started_at = coalesce(started_at, to_timestamp($2 / 1000.0))
     WHERE attempt_id = $1`,
});

const markTaskRunning = defineStatement({
  name: "tasks_mark_running",
  text: `UPDATE tasks SET state = 'running' WHERE task_id = $1 AND state <> 'running'`,
});

/** `startedAtMs` null: only accepted so far. */
export async function acceptOrStart(
  db: Database,
  attempt: FencedAttempt,
  agentId: string,
  startedAtMs: number | null,
): Promise<AttemptKnown | null> {
  const planId = await findPlanOf(db, attempt.attemptId);
  if (planId === null) return null;
  return db.transaction(async (tx) => {
    await lockPlans(tx, [planId]);
    const [row] = await tx.query(lockOpen, [attempt.attemptId, attempt.fence, agentId]);
    if (row === undefined) return null;
    const news = row.state === "assigned" || (startedAtMs !== null && !row.started);
    if (news) {
      await tx.execute(markRunning, [attempt.attemptId, startedAtMs]);
      await tx.execute(markTaskRunning, [row.task_id]);
      await appendEvents(tx, [
        {
          planId,
          taskId: row.task_id,
          taskName: row.task_name,
          attemptId: attempt.attemptId,
          agentId,
          kind: startedAtMs === null ? "TASK_ACCEPTED" : "TASK_STARTED",
          fromState: row.task_state,
          toState: "running",
          actor: "agent",
        },
      ]);
    }
    return { ...knownFromRow(row), state: "running" };
  });
}

const renewStatement = defineStatement<KnownRow>({
  name: "attempts_renew",
  text: `
    UPDATE attempts a
       SET lease_expires_at = greatest(a.lease_expires_at, now() + a.work_lease_ms * interval '1 millisecond')
      FROM unnest($1::uuid[], $2::bigint[]) AS r(attempt_id, fence), tasks t
     WHERE a.attempt_id = r.attempt_id AND a.fence = r.fence AND a.agent_id = $3 AND a.state IN ('assigned', 'running')
       AND t.task_id = a.task_id AND t.attempt_id = a.attempt_id
 RETURNING ${knownColumns}`,
});

export async function renewLeases(
  db: Queryable,
  attempts: readonly FencedAttempt[],
  agentId: string,
): Promise<readonly AttemptKnown[]> {
  const rows = await db.query(renewStatement, [
    attempts.map(({ attemptId }) => attemptId),
    attempts.map(({ fence }) => fence),
    agentId,
  ]);
  return rows.map(knownFromRow);
}
