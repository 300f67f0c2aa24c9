import { defineStatement, type Queryable, type Transaction } from "@headroom/postgres";
import type { AttemptState, TaskState } from "@headroom/scheduling";

/** An attempt and its task, of one moment. What reports change is changed in place: thousands of rows a second are not copied. */
export interface AttemptRow {
  readonly attempt_id: string;
  readonly task_id: string;
  readonly plan_id: string;
  readonly agent_id: string;
  attempt_state: AttemptState;
  readonly fence: number;
  readonly superseded: boolean;
  readonly unsent: boolean;
  readonly sent_at_ms: number | null;
  started: boolean;
  readonly lease_over_ms: number;
  task_state: TaskState;
  readonly task_name: string;
  readonly cancel_requested: boolean;
  readonly retry_on_failure: boolean;
  readonly hold_unknown: boolean;
  readonly max_attempts: number;
  readonly runs_used: number;
  readonly has_dependents: boolean;
  /** Which versions of the two rows these are: another write makes others. */
  readonly attempt_version: string;
  readonly task_version: string;
}

const columns = `
           a.attempt_id, a.task_id, a.plan_id, a.agent_id, a.state AS attempt_state, a.fence, t.attempt_id <> a.attempt_id AS superseded,
           a.sent_at IS NULL AS unsent, (extract(epoch FROM a.sent_at) * 1000)::double precision AS sent_at_ms,
           a.started_at IS NOT NULL AS started,
           (extract(epoch FROM now() - a.lease_expires_at) * 1000)::double precision AS lease_over_ms,
           t.state AS task_state, t.name AS task_name, t.cancel_requested_at IS NOT NULL AS cancel_requested,
           t.retry_on_failure, t.hold_unknown, t.max_attempts, t.runs_used,
           EXISTS (SELECT 1 FROM task_dependencies d WHERE d.depends_on_task_id = a.task_id) AS has_dependents,
           a.xmin::text AS attempt_version, t.xmin::text AS task_version
      FROM attempts a JOIN tasks t ON t.task_id = a.task_id
     WHERE a.attempt_id = ANY($1::uuid[])`;

const lockText = (plans: "" | "SKIP LOCKED", rows: "" | "SKIP LOCKED"): string => `
    WITH locked AS MATERIALIZED (
      SELECT p.plan_id FROM plans p
       WHERE p.plan_id IN (SELECT a.plan_id FROM attempts a WHERE a.attempt_id = ANY($1::uuid[]))
       ORDER BY p.plan_id
         FOR NO KEY UPDATE ${plans})
    SELECT${columns} AND (a.plan_id = ANY(ARRAY(SELECT plan_id FROM locked))) IS TRUE
       FOR UPDATE OF a, t ${rows}`;

const lockStatement = defineStatement<AttemptRow>({ name: "attempts_lock", text: lockText("", "") });

const lockFreeStatement = defineStatement<AttemptRow>({
  name: "attempts_lock_free",
  text: lockText("", "SKIP LOCKED"),
});

const lockFreeOfFreePlansStatement = defineStatement<AttemptRow>({
  name: "attempts_lock_free_of_free_plans",
  text: lockText("SKIP LOCKED", "SKIP LOCKED"),
});

/**
 * Locks their plans first, as `lockPlans` does, then the rows themselves: what is locked is read as it is by then, also what was
 * committed while somebody else had the plan.
 */
export function lockAttempts(tx: Transaction, attemptIds: readonly string[]): Promise<readonly AttemptRow[]> {
  return tx.query(lockStatement, [attemptIds]);
}

/** The same, but those that somebody else has locked are not among them: while they are waited for nobody else would have their plans. */
export function lockFreeAttempts(tx: Transaction, attemptIds: readonly string[]): Promise<readonly AttemptRow[]> {
  return tx.query(lockFreeStatement, [attemptIds]);
}

/** The same, and nobody is waited for: those of plans that somebody else has locked are not among them either. */
export function lockFreeAttemptsOfFreePlans(
  tx: Transaction,
  attemptIds: readonly string[],
): Promise<readonly AttemptRow[]> {
  return tx.query(lockFreeOfFreePlansStatement, [attemptIds]);
}

const readStatement = defineStatement<AttemptRow>({ name: "attempts_read", text: `SELECT${columns}` });

/** The same without locks: what is decided on it may be written only if the rows are still of the same versions. */
export function readAttempts(db: Queryable, attemptIds: readonly string[]): Promise<readonly AttemptRow[]> {
  return db.query(readStatement, [attemptIds]);
}
