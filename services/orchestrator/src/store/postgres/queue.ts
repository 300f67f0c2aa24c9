import { defineStatement, type Queryable } from "@headroom/postgres";
import type { PauseReason } from "@headroom/scheduling";
import type { QueueSummary } from "../model.ts";
import { waitsForTime } from "./standing-reason.ts";

const queueFrontsStatement = defineStatement<{ readonly shape_key: string; readonly lead_ms: number }>({
  name: "pause_queue_fronts",
  text: `
    SELECT s.shape_key, (extract(epoch FROM now()) - head.rank) * 1000 AS lead_ms
      FROM unnest($1::text[]) AS s(shape_key)
     CROSS JOIN LATERAL (
           SELECT q.rank FROM pause_queue q
            WHERE q.shape_key = s.shape_key AND q.status = 'waiting' AND NOT q.blocked AND NOT q.later
            ORDER BY q.rank, q.pause_queue_id
            LIMIT 1) AS head`,
});

export async function queueFronts(db: Queryable, shapeKeys: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const rows = await db.query(queueFrontsStatement, [shapeKeys]);
  return new Map(rows.map((row) => [row.shape_key, row.lead_ms]));
}

interface ReasonRow {
  readonly reason: PauseReason;
  readonly tasks: number;
  readonly oldest: number;
  readonly turn_ms: number | null;
}

/** The task's `resume_after` as its plan gives it; of most rows, which have none, the plan is not read. */
const ownTime = `CASE WHEN resume_after IS NOT NULL THEN (work_plan_json->>'resume_after')::timestamptz END`;

// A task has its turn when it does not wait for another one, for its time or under a hold: since the last of these was over, of the queue's holds too. One
// that no agent is large enough for has none. Its time is the one it was given: that of the next try, for which what the registry refuses by itself is put off
// again and again, is none that anybody wished for.
const reasonsStatement = defineStatement<ReasonRow>({
  name: "pause_queue_reasons",
  text: `
    SELECT reason, count(*) AS tasks, min(paused_at) AS oldest,
           (extract(epoch FROM now() - min(greatest(paused_at, ${ownTime}, turn_since,
                                                    (SELECT max(at) FROM queue_events WHERE held_since IS NOT NULL)))
               FILTER (WHERE NOT blocked AND NOT (later AND (${waitsForTime("reason")} OR coalesce(${ownTime} > now(), false)))
                         AND reason <> 'NO_AGENT_CAN_EVER_FIT' AND NOT EXISTS (SELECT FROM queue_hold WHERE is_held))) * 1000)::bigint AS turn_ms
      FROM pause_queue
     WHERE status = 'waiting'
     GROUP BY reason
     ORDER BY count(*) DESC, reason`,
});

const openAttemptsStatement = defineStatement<{ readonly open: number }>({
  name: "attempts_count_open",
  text: `SELECT count(*) AS open FROM attempts WHERE state IN ('assigned', 'running')`,
});

export async function queueSummary(db: Queryable): Promise<QueueSummary> {
  const [reasons, [attempts]] = await Promise.all([db.query(reasonsStatement), db.query(openAttemptsStatement)]);
  const turnsMs = reasons.flatMap(({ turn_ms }) => turn_ms ?? []);
  const waiting = reasons.reduce((sum, row) => sum + row.tasks, 0);
  return {
    waiting,
    reasons: reasons.map(({ reason, tasks }) => ({ reason, tasks })),
    oldestPausedAtMs: waiting === 0 ? null : Math.min(...reasons.map((row) => row.oldest)),
    oldestTurnMs: turnsMs.length === 0 ? null : Math.max(0, ...turnsMs),
    runningAttempts: attempts?.open ?? 0,
  };
}

const countDueStatement = defineStatement<{ readonly cpu_tasks: number; readonly gpu_tasks: number }>({
  name: "pause_queue_count_due",
  text: `
    SELECT count(*) FILTER (WHERE NOT uses_gpu) AS cpu_tasks, count(*) FILTER (WHERE uses_gpu) AS gpu_tasks
      FROM pause_queue
     WHERE status = 'waiting' AND NOT blocked AND NOT later AND ($1::uuid IS NULL OR plan_id = $1)`,
});

export async function countDue(
  db: Queryable,
  planId: string | null,
): Promise<{ readonly cpuTasks: number; readonly gpuTasks: number }> {
  const [row] = await db.query(countDueStatement, [planId]);
  return { cpuTasks: row?.cpu_tasks ?? 0, gpuTasks: row?.gpu_tasks ?? 0 };
}

const countWaitingStatement = defineStatement<{ readonly waiting: number }>({
  name: "pause_queue_count_waiting",
  text: `
    SELECT count(*) AS waiting FROM (
      SELECT 1 FROM pause_queue WHERE status = 'waiting' AND ($1::uuid IS NULL OR plan_id = $1) LIMIT $2) AS counted`,
});

export async function countWaiting(db: Queryable, planId: string | null, atMost: number | null): Promise<number> {
  const [row] = await db.query(countWaitingStatement, [planId, atMost]);
  return row?.waiting ?? 0;
}

const nextDueStatement = defineStatement<{ readonly due_in_ms: number | null }>({
  name: "pause_queue_next_due",
  text: `
    SELECT (extract(epoch FROM min(resume_after) - now()) * 1000)::double precision AS due_in_ms
      FROM pause_queue
     WHERE status = 'waiting' AND NOT blocked AND later`,
});

export async function nextDueInMs(db: Queryable): Promise<number | null> {
  const [row] = await db.query(nextDueStatement);
  return row?.due_in_ms ?? null;
}
