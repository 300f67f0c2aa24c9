import { defineStatement, type Queryable } from "@headroom/postgres";
import type { Amounts, AttemptState } from "@headroom/scheduling";
import type { AttemptRecord, MeasuredUse } from "../model.ts";

export interface AttemptRow {
  readonly attempt_id: string;
  readonly agent_id: string;
  readonly number: number;
  readonly fence: number;
  readonly state: AttemptState;
  readonly assigned_ms: number;
  readonly started_ms: number | null;
  readonly finished_ms: number | null;
  readonly exit_code: number | null;
  readonly signal: string;
  readonly reason: string;
  readonly used: MeasuredUse | null;
  readonly reserved: Amounts;
  readonly awaits_output: boolean;
}

const ms = (column: string): string => `floor(extract(epoch FROM ${column}) * 1000)::bigint`;

/** Of `attempts a`. Times as milliseconds, so that they read the same as columns and inside jsonb. */
export const attemptColumns = `a.attempt_id, a.agent_id, a.number, a.fence, a.state, ${ms("a.assigned_at")} AS assigned_ms,
           ${ms("a.started_at")} AS started_ms, ${ms("a.finished_at")} AS finished_ms, a.exit_code, a.signal, a.reason, a.used, a.reserved,
           coalesce(a.output_end_seq > a.output_last_seq, false) AS awaits_output`;

const ofTask = defineStatement<AttemptRow>({
  name: "attempts_of_task",
  text: `SELECT ${attemptColumns} FROM attempts a WHERE a.task_id = $1 ORDER BY a.number DESC`,
});

export async function attemptsOfTask(db: Queryable, taskId: string): Promise<readonly AttemptRecord[]> {
  return (await db.query(ofTask, [taskId])).map(attemptFromRow);
}

const one = defineStatement<AttemptRow>({
  name: "attempts_find",
  text: `
    SELECT ${attemptColumns} FROM attempts a
     WHERE a.task_id = $1 AND ($2::uuid IS NULL OR a.attempt_id = $2)
     ORDER BY a.number DESC
     LIMIT 1`,
});

export async function findAttempt(
  db: Queryable,
  taskId: string,
  attemptId: string | null,
): Promise<AttemptRecord | null> {
  const [row] = await db.query(one, [taskId, attemptId]);
  return row === undefined ? null : attemptFromRow(row);
}

export function attemptFromRow(row: AttemptRow): AttemptRecord {
  return {
    attemptId: row.attempt_id,
    fence: row.fence,
    agentId: row.agent_id,
    number: row.number,
    state: row.state,
    assignedAtMs: row.assigned_ms,
    startedAtMs: row.started_ms,
    finishedAtMs: row.finished_ms,
    exitCode: row.exit_code,
    signal: row.signal,
    reason: row.reason,
    used: row.used,
    reserved: row.reserved,
    awaitsOutput: row.awaits_output,
  };
}
