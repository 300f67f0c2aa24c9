import { defineStatement, type Queryable } from "@headroom/postgres";
import type { CheckedInVain, QueueSpot } from "../port.ts";
import { isUnchecked, leavesNever } from "./standing-reason.ts";

const staysNever = leavesNever("q.reason", "$3::text");

const stampStatement = defineStatement<{
  readonly stamped: number;
  readonly rank: number | null;
  readonly id: string | null;
}>({
  name: "pause_queue_stamp",
  text: `
    WITH seen AS MATERIALIZED (
      SELECT pause_queue_id, rank, reason, last_checked FROM pause_queue
       WHERE status = 'waiting' AND NOT blocked AND NOT later
         AND shape_key = $1
         AND ($2::uuid IS NULL OR plan_id = $2)
         AND ($6::double precision IS NULL OR (rank, pause_queue_id) > ($6::double precision, $7::uuid))
       ORDER BY rank, pause_queue_id
       LIMIT 1000),
    stamped AS (
      UPDATE pause_queue q
         SET last_checked = now(), reason = CASE WHEN ${staysNever} THEN q.reason ELSE $3 END,
             reason_detail = CASE WHEN ${staysNever} THEN q.reason_detail ELSE $4 END
        FROM seen
       WHERE q.pause_queue_id = seen.pause_queue_id AND q.status = 'waiting' AND NOT q.blocked
         AND NOT (${staysNever} AND ${isUnchecked("$3::text")})
         AND (seen.reason <> $3 AND NOT ${staysNever}
              OR seen.last_checked IS NULL OR seen.last_checked <= now() - $5 * interval '1 millisecond')
   RETURNING 1)
    SELECT (SELECT count(*) FROM stamped) AS stamped, last.rank, last.pause_queue_id AS id
      FROM (SELECT 1) AS one
      LEFT JOIN LATERAL (SELECT rank, pause_queue_id FROM seen ORDER BY rank DESC, pause_queue_id DESC LIMIT 1) AS last ON true`,
});

/** One statement for a thousand rows that share a verdict, instead of a claim for each. */
export async function markChecked(
  db: Queryable,
  checked: CheckedInVain,
): Promise<{ readonly marked: number; readonly last: QueueSpot | null }> {
  const { shapeKey, reason, sentence, planId, freshMs, after } = checked;
  const [row] = await db.query(stampStatement, [
    shapeKey,
    planId,
    reason,
    sentence,
    freshMs,
    after?.rank ?? null,
    after?.pauseQueueId ?? null,
  ]);
  const last =
    row === undefined || row.rank === null || row.id === null ? null : { rank: row.rank, pauseQueueId: row.id };
  return { marked: row?.stamped ?? 0, last };
}
