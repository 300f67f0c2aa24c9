import { defineStatement, type Queryable } from "@headroom/postgres";
import type { Needs } from "@headroom/scheduling";
import type { QueueHead } from "../model.ts";
import type { OrchestratorStore, QueueHeads } from "../port.ts";
import { waitsForTime } from "./standing-reason.ts";

interface HeadRow {
  readonly shape_key: string;
  readonly task_id: string;
  readonly plan_id: string;
  readonly task_name: string;
  readonly rank: number;
  readonly uses_gpu: boolean;
  readonly needs: Needs;
  readonly expected_duration_ms: number | null;
  readonly waited_ms: number;
}

/** Shapes that one statement reads. */
const shapesAtOnce = 1_000;
/** Places at the front of the queue that are looked at, whatever their shapes. */
const frontPlaces = 2_000;

const head = `
      SELECT q.task_id, q.plan_id, t.name AS task_name, q.rank, q.uses_gpu, t.needs, t.expected_duration_ms,
             (extract(epoch FROM now() - q.paused_at) * 1000)::double precision AS waited_ms
        FROM pause_queue q JOIN tasks t ON t.task_id = q.task_id
       WHERE q.status = 'waiting' AND NOT q.blocked AND NOT q.later`;

// From one shape straight to the next: the work grows with the number of shapes, never with that of the tasks that wait.
const headsStatement = defineStatement<HeadRow & { readonly last_shape: string; readonly shapes: number }>({
  name: "pause_queue_heads",
  text: `
    WITH RECURSIVE shapes(shape_key, number) AS (
      (SELECT shape_key, 1 FROM pause_queue
        WHERE status = 'waiting' AND NOT blocked AND NOT later AND shape_key > $1 ORDER BY shape_key LIMIT 1)
      UNION ALL
      SELECT (SELECT q.shape_key FROM pause_queue q
               WHERE q.status = 'waiting' AND NOT q.blocked AND NOT q.later AND q.shape_key > s.shape_key
               ORDER BY q.shape_key LIMIT 1), s.number + 1
        FROM shapes s WHERE s.shape_key IS NOT NULL AND s.number < ${shapesAtOnce})
    SELECT s.shape_key, head.task_id, head.plan_id, head.task_name, head.rank, head.uses_gpu, head.needs, head.expected_duration_ms,
           head.waited_ms, max(s.shape_key) OVER () AS last_shape, count(*) OVER () AS shapes
      FROM shapes s
     CROSS JOIN LATERAL (${head} AND q.shape_key = s.shape_key ORDER BY q.rank, q.pause_queue_id LIMIT 1) AS head
     WHERE s.shape_key IS NOT NULL
     ORDER BY head.rank, head.task_id`,
});

/** Wherever the shapes of the front stand among thousands of others: what is next is never overlooked. */
const frontStatement = defineStatement<HeadRow>({
  name: "pause_queue_front",
  text: `
    WITH front AS MATERIALIZED (
      SELECT q.task_id, q.shape_key, q.rank, q.pause_queue_id, q.later
        FROM pause_queue q
       WHERE q.status = 'waiting' AND NOT q.blocked
       ORDER BY q.rank, q.pause_queue_id
       LIMIT ${frontPlaces}),
    firsts AS MATERIALIZED (
      SELECT DISTINCT ON (shape_key) shape_key, task_id FROM front WHERE NOT later ORDER BY shape_key, rank, pause_queue_id)
    SELECT firsts.shape_key, head.*
      FROM firsts
     CROSS JOIN LATERAL (${head} AND q.task_id = firsts.task_id) AS head
     ORDER BY head.rank, head.task_id`,
});

const headsOfPlanStatement = defineStatement<HeadRow>({
  name: "pause_queue_heads_of_plan",
  text: `
    SELECT h.shape_key, h.task_id, h.plan_id, h.task_name, h.rank, h.uses_gpu, h.needs, h.expected_duration_ms, h.waited_ms
      FROM (SELECT DISTINCT ON (w.shape_key) w.shape_key, w.task_id, w.plan_id, w.task_name, w.rank, w.uses_gpu, w.needs,
                   w.expected_duration_ms, w.waited_ms
              FROM (${head.replace("SELECT ", "SELECT q.shape_key, ")} AND q.plan_id = $1) AS w
             ORDER BY w.shape_key, w.rank) AS h
     ORDER BY h.rank, h.task_id`,
});

export async function queueHeads(db: Queryable, after: string | null): Promise<QueueHeads> {
  const rows = await db.query(headsStatement, [after ?? ""]);
  const [first] = rows;
  const isFull = first !== undefined && first.shapes >= shapesAtOnce;
  return { heads: rows.map(headFromRow), next: isFull ? first.last_shape : null };
}

export async function queueFront(db: Queryable): Promise<readonly QueueHead[]> {
  return (await db.query(frontStatement, [])).map(headFromRow);
}

export async function queueHeadsOfPlan(db: Queryable, planId: string): Promise<readonly QueueHead[]> {
  return (await db.query(headsOfPlanStatement, [planId])).map(headFromRow);
}

/** What one shape is asked for at most; in the text, because a parameter there misleads the planner. */
const mostRanks = 64;

const ranksStatement = defineStatement<{ readonly shape_key: string; readonly rank: number }>({
  name: "pause_queue_ranks",
  text: `
    SELECT wanted.shape_key, due.rank
      FROM unnest($1::text[]) AS wanted(shape_key)
     CROSS JOIN LATERAL (
           SELECT rank
             FROM (SELECT q.rank FROM pause_queue q
                    WHERE q.status = 'waiting' AND NOT q.blocked AND NOT q.later
                      AND q.shape_key = wanted.shape_key AND ($3::uuid IS NULL OR q.plan_id = $3)
                      AND NOT q.plan_id = ANY ($4::uuid[])
                    ORDER BY q.rank, q.pause_queue_id
                    LIMIT ${mostRanks}) AS front
            LIMIT $2) AS due`,
});

export async function queueRanks(
  db: Queryable,
  ...[shapeKeys, { ofEach, planId, exceptPlanIds }]: Parameters<OrchestratorStore["queueRanks"]>
): Promise<ReadonlyMap<string, readonly number[]>> {
  const ranks = new Map<string, number[]>();
  for (const { shape_key, rank } of await db.query(ranksStatement, [shapeKeys, ofEach, planId, exceptPlanIds])) {
    const ofShape = ranks.get(shape_key);
    if (ofShape === undefined) ranks.set(shape_key, [rank]);
    else ofShape.push(rank);
  }
  for (const ofShape of ranks.values()) ofShape.sort((a, b) => a - b);
  return ranks;
}

function headFromRow(row: HeadRow): QueueHead {
  return {
    taskId: row.task_id,
    planId: row.plan_id,
    taskName: row.task_name,
    shapeKey: row.shape_key,
    rank: row.rank,
    usesGpu: row.uses_gpu,
    needs: row.needs,
    expectedDurationMs: row.expected_duration_ms,
    waitedMs: row.waited_ms,
  };
}

const ripenStatement = defineStatement({
  name: "pause_queue_ripen",
  text: `
    WITH due AS MATERIALIZED (
      SELECT pause_queue_id FROM pause_queue
       WHERE status = 'waiting' AND NOT blocked AND later AND resume_after <= now()
       ORDER BY resume_after
       LIMIT 5000
         FOR UPDATE SKIP LOCKED)
    UPDATE pause_queue q
       SET later = false, turn_since = CASE WHEN ${waitsForTime("q.reason")} THEN greatest(q.turn_since, q.resume_after) ELSE q.turn_since END
      FROM due
     WHERE q.pause_queue_id = due.pause_queue_id`,
});

/** Rows whose `resume_after` has passed may be tried from now on; what waited for that has its turn since. */
export function ripen(db: Queryable): Promise<number> {
  return db.execute(ripenStatement, []);
}
