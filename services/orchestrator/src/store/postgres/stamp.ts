import { defineStatement, type Queryable } from "@headroom/postgres";
import type { CheckedInVain, OrchestratorStore, QueueSpot } from "../port.ts";
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

const saysNever = leavesNever("q.reason", "asked.reason");

// Rows are locked as they are found, and none is waited for: two replicas that mark the same shapes would come in each other's way.
const frontsStatement = defineStatement<{ readonly shape_key: string; readonly seen: number }>({
  name: "pause_queue_stamp_fronts",
  text: `
    WITH asked AS MATERIALIZED (
      SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) AS asked(shape_key, reason, sentence)),
    seen AS MATERIALIZED (
      SELECT asked.shape_key, front.pause_queue_id
        FROM asked
       CROSS JOIN LATERAL (
             SELECT pause_queue_id
               FROM (SELECT q.pause_queue_id FROM pause_queue q
                      WHERE q.status = 'waiting' AND NOT q.blocked AND NOT q.later
                        AND q.shape_key = asked.shape_key AND ($4::uuid IS NULL OR q.plan_id = $4)
                      ORDER BY q.rank, q.pause_queue_id
                      LIMIT 1000) AS due
              LIMIT $6) AS front),
    found AS MATERIALIZED (
      SELECT q.pause_queue_id, CASE WHEN ${saysNever} THEN q.reason ELSE asked.reason END AS reason,
             CASE WHEN ${saysNever} THEN q.reason_detail ELSE asked.sentence END AS sentence
        FROM seen
        JOIN asked ON asked.shape_key = seen.shape_key
       CROSS JOIN LATERAL (SELECT * FROM pause_queue p WHERE p.pause_queue_id = seen.pause_queue_id) AS q
       WHERE q.status = 'waiting' AND NOT q.blocked
         AND NOT (${saysNever} AND ${isUnchecked("asked.reason")})
         AND (q.reason <> asked.reason AND NOT ${saysNever}
              OR q.last_checked IS NULL OR q.last_checked <= now() - $5 * interval '1 millisecond')),
    free AS MATERIALIZED (
      SELECT q.pause_queue_id FROM pause_queue q
       WHERE q.pause_queue_id = ANY (ARRAY(SELECT pause_queue_id FROM found)) AND q.status = 'waiting' AND NOT q.blocked
         FOR NO KEY UPDATE SKIP LOCKED),
    stamped AS (
      UPDATE pause_queue q SET last_checked = now(), reason = found.reason, reason_detail = found.sentence
        FROM free JOIN found ON found.pause_queue_id = free.pause_queue_id
       WHERE q.pause_queue_id = free.pause_queue_id)
    SELECT shape_key, count(*) AS seen FROM seen GROUP BY shape_key`,
});

/** One statement for shapes of which hundreds wait. */
export async function markFronts(
  db: Queryable,
  ...[shapes, { planId, freshMs, ofEach }]: Parameters<OrchestratorStore["markFronts"]>
): Promise<ReadonlySet<string>> {
  const rows = await db.query(frontsStatement, [
    shapes.map(({ shapeKey }) => shapeKey),
    shapes.map(({ reason }) => reason),
    shapes.map(({ sentence }) => sentence),
    planId,
    freshMs,
    ofEach,
  ]);
  return new Set(rows.filter(({ seen }) => seen >= ofEach).map(({ shape_key }) => shape_key));
}
