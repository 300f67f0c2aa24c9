import { defineStatement, type Queryable } from "@headroom/postgres";
import type { Needs, PauseReason } from "@headroom/scheduling";
import type { PausedTaskRecord } from "../model.ts";
import type { Listed, Page } from "../port.ts";
import { decodeQueueCursor, listed } from "./cursor.ts";
import { waitDeadline } from "./late-deadlines.ts";

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
  readonly blocked: boolean;
  readonly resume_after: number | null;
  readonly last_checked: number | null;
  readonly wait_deadline: number | null;
}

const pausedColumns = `q.task_id, q.plan_id, t.name AS task_name, p.name AS plan_name, q.priority, t.needs, q.pause_queue_id, q.reason,
           q.reason_detail, q.paused_at, q.rank, q.blocked, q.resume_after, q.last_checked, ${waitDeadline} AS wait_deadline`;
const withNames = `JOIN tasks t ON t.task_id = q.task_id JOIN plans p ON p.plan_id = q.plan_id`;

/** What may start first, then the rest; each half from an index of its own. The place to go on from lies in the half that `$2` tells. */
const selectPaused = defineStatement<PausedRow>({
  name: "pause_queue_list",
  text: `
    WITH page AS (
      SELECT one.pause_queue_id FROM (
        (SELECT q.pause_queue_id, q.blocked, q.rank FROM pause_queue q
          WHERE q.status = 'waiting' AND NOT q.blocked AND NOT $2::boolean AND ($1::text[] IS NULL OR q.reason = ANY($1))
            AND (q.rank, q.pause_queue_id) > ($3::double precision, $4::uuid)
          ORDER BY q.rank, q.pause_queue_id
          LIMIT $5)
        UNION ALL
        (SELECT q.pause_queue_id, q.blocked, q.rank FROM pause_queue q
          WHERE q.status = 'waiting' AND q.blocked AND ($1::text[] IS NULL OR q.reason = ANY($1))
            AND (q.rank, q.pause_queue_id) > (CASE WHEN $2::boolean THEN $3::double precision ELSE '-infinity' END, $4::uuid)
          ORDER BY q.rank, q.pause_queue_id
          LIMIT $5)) AS one
       ORDER BY one.blocked, one.rank, one.pause_queue_id
       LIMIT $5)
    SELECT ${pausedColumns}
      FROM page JOIN pause_queue q ON q.pause_queue_id = page.pause_queue_id ${withNames}
     ORDER BY q.blocked, q.rank, q.pause_queue_id`,
});

const selectPausedOfPlan = defineStatement<PausedRow>({
  name: "pause_queue_list_of_plan",
  text: `
    SELECT ${pausedColumns}
      FROM pause_queue q ${withNames}
     WHERE q.plan_id = $6 AND q.status = 'waiting' AND ($1::text[] IS NULL OR q.reason = ANY($1))
       AND (q.blocked, q.rank, q.pause_queue_id) > ($2::boolean, $3::double precision, $4::uuid)
     ORDER BY q.blocked, q.rank, q.pause_queue_id
     LIMIT $5`,
});

export async function listPaused(
  db: Queryable,
  filter: { readonly planId: string | null; readonly reasons: readonly PauseReason[] | null },
  page: Page,
): Promise<Listed<PausedTaskRecord>> {
  const values = [filter.reasons, ...decodeQueueCursor(page.after), page.limit + 1];
  const rows =
    filter.planId === null
      ? await db.query(selectPaused, values)
      : await db.query(selectPausedOfPlan, [...values, filter.planId]);
  const cursorOf = (row: PausedRow): readonly string[] => [
    row.blocked ? "1" : "0",
    String(row.rank),
    row.pause_queue_id,
  ];
  return listed(rows, page.limit, cursorOf, pausedFromRow);
}

const countPausedStatement = defineStatement<{ readonly total: number }>({
  name: "pause_queue_count_of_plan",
  text: `
    SELECT count(*) AS total FROM pause_queue
     WHERE plan_id = $1 AND status = 'waiting' AND ($2::text[] IS NULL OR reason = ANY($2))`,
});

export async function countPaused(
  db: Queryable,
  planId: string,
  reasons: readonly PauseReason[] | null,
): Promise<number> {
  const [row] = await db.query(countPausedStatement, [planId, reasons]);
  return row?.total ?? 0;
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
