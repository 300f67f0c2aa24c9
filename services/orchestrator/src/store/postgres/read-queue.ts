import { defineStatement, type Queryable } from "@headroom/postgres";
import type { Needs, PauseReason } from "@headroom/scheduling";
import type { PausedTaskRecord } from "../model.ts";
import type { Listed, Page } from "../port.ts";
import { decodeRankCursor, listed } from "./cursor.ts";

interface PausedRow {
  readonly task_id: string;
  readonly plan_id: string;
  readonly task_name: string;
  readonly plan_name: string;
  readonly priority: number;
  readonly needs: Needs;
  readonly pause_queue_id: string;
  readonly reason: PauseReason;
  readonly reason_detail: string;
  readonly paused_at: number;
  readonly rank: number;
  readonly resume_after: number | null;
  readonly last_checked: number | null;
  readonly wait_deadline: number | null;
}

const selectPaused = defineStatement<PausedRow>({
  name: "pause_queue_list",
  text: `
    SELECT q.task_id, q.plan_id, t.name AS task_name, p.name AS plan_name, q.priority, t.needs, q.pause_queue_id, q.reason,
           q.reason_detail, q.paused_at, q.rank, q.resume_after, q.last_checked, q.wait_deadline
      FROM pause_queue q JOIN tasks t ON t.task_id = q.task_id JOIN plans p ON p.plan_id = q.plan_id
     WHERE q.status = 'waiting'
       AND ($1::uuid IS NULL OR q.plan_id = $1)
       AND ($2::text[] IS NULL OR q.reason = ANY($2))
       AND ($3::double precision IS NULL OR (q.rank, q.pause_queue_id) > ($3::double precision, $4::uuid))
     ORDER BY q.rank, q.pause_queue_id
     LIMIT $5`,
});

const countPaused = defineStatement<{ readonly total: number }>({
  name: "pause_queue_count",
  text: `
    SELECT count(*) AS total FROM pause_queue
     WHERE status = 'waiting' AND ($1::uuid IS NULL OR plan_id = $1) AND ($2::text[] IS NULL OR reason = ANY($2))`,
});

export async function listPaused(
  db: Queryable,
  filter: { readonly planId: string | null; readonly reasons: readonly PauseReason[] | null },
  page: Page,
): Promise<Listed<PausedTaskRecord> & { readonly total: number }> {
  const [rank, id] = decodeRankCursor(page.after);
  const [rows, [count]] = await Promise.all([
    db.query(selectPaused, [filter.planId, filter.reasons, rank, id, page.limit + 1]),
    db.query(countPaused, [filter.planId, filter.reasons]),
  ]);
  const cursorOf = (row: PausedRow): readonly string[] => [String(row.rank), row.pause_queue_id];
  return { ...listed(rows, page.limit, cursorOf, pausedFromRow), total: count?.total ?? 0 };
}

function pausedFromRow(row: PausedRow): PausedTaskRecord {
  return {
    taskId: row.task_id,
    planId: row.plan_id,
    taskName: row.task_name,
    planName: row.plan_name,
    priority: row.priority,
    needs: row.needs,
    pause: {
      pauseQueueId: row.pause_queue_id,
      reason: row.reason,
      sentence: row.reason_detail,
      status: "waiting",
      pausedAtMs: row.paused_at,
      resumeAfterMs: row.resume_after,
      lastCheckedMs: row.last_checked,
      waitDeadlineMs: row.wait_deadline,
    },
  };
}
