import { defineStatement, type Queryable } from "@headroom/postgres";
import type { PlanStatus, TaskCounts } from "@headroom/scheduling";
import type { PlanRecord } from "../model.ts";
import type { Listed, Page } from "../port.ts";
import { listed, newestFirst } from "./cursor.ts";

interface PlanRow {
  readonly plan_id: string;
  readonly name: string;
  readonly namespace: string;
  readonly priority: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly created_at: number;
  readonly created_text: string;
  readonly finished_at: number | null;
  readonly cancel_requested: boolean;
  readonly held_at: number | null;
  readonly held_by: string;
  readonly hold_reason: string;
  readonly traceparent: string;
  readonly pending: number;
  readonly paused: number;
  readonly reserved: number;
  readonly assigned: number;
  readonly running: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly lost: number;
}

const planColumns = `p.plan_id, p.name, p.namespace, p.priority, p.labels, p.created_at, p.created_at::text AS created_text, p.finished_at,
           p.cancel_requested_at IS NOT NULL AS cancel_requested, p.held_at, p.held_by, p.hold_reason, p.traceparent,
           c.pending, c.paused, c.reserved, c.assigned, c.running, c.succeeded, c.failed, c.cancelled, c.lost`;

/** Of a plan that succeeded nothing has to be counted: that is most of what a list shows. */
const countsOfPlan = `
     CROSS JOIN LATERAL (
           SELECT count(*) FILTER (WHERE t.state = 'pending') AS pending, count(*) FILTER (WHERE t.state = 'paused') AS paused,
                  count(*) FILTER (WHERE t.state = 'reserved') AS reserved, count(*) FILTER (WHERE t.state = 'assigned') AS assigned,
                  count(*) FILTER (WHERE t.state = 'running') AS running,
                  CASE WHEN p.outcome = 'succeeded' THEN p.total_tasks ELSE count(*) FILTER (WHERE t.state = 'succeeded') END AS succeeded,
                  count(*) FILTER (WHERE t.state = 'failed') AS failed, count(*) FILTER (WHERE t.state = 'cancelled') AS cancelled,
                  count(*) FILTER (WHERE t.state = 'lost') AS lost
             FROM tasks t
            WHERE t.plan_id = p.plan_id AND p.outcome IS DISTINCT FROM 'succeeded') AS c`;

const statusOfUnfinished = `CASE WHEN c.paused + c.lost = 0 THEN 'dispatched'
                 WHEN c.pending + c.reserved + c.assigned + c.running > 0 THEN 'partly_paused'
                 ELSE 'paused' END`;

const selectPlan = defineStatement<PlanRow>({
  name: "plans_get",
  text: `SELECT ${planColumns} FROM plans p ${countsOfPlan} WHERE p.plan_id = $1`,
});

export async function getPlan(db: Queryable, planId: string): Promise<PlanRecord | null> {
  const [row] = await db.query(selectPlan, [planId]);
  return row === undefined ? null : planFromRow(row);
}

/**
 * A page of each outcome, read from its own end of an index, and one of the plans that go on, merged. Only of the latter tasks
 * are counted to find out. That status in SQL says what `planStatus` of libs/scheduling says; a test holds the two together.
 */
const selectPlans = defineStatement<PlanRow>({
  name: "plans_list",
  text: `
    WITH page AS (
      SELECT one.plan_id FROM (
        (SELECT ended.plan_id, ended.created_at
           FROM unnest($1::text[]) AS s(outcome)
          CROSS JOIN LATERAL (
                SELECT plan_id, created_at FROM plans
                 WHERE outcome = s.outcome AND (created_at, plan_id) < ($3::timestamptz, $4::uuid)
                 ORDER BY created_at DESC, plan_id DESC
                 LIMIT $5) AS ended)
        UNION ALL
        (SELECT p.plan_id, p.created_at
           FROM plans p ${countsOfPlan}
          WHERE p.outcome IS NULL AND cardinality($2::text[]) > 0 AND (p.created_at, p.plan_id) < ($3::timestamptz, $4::uuid)
            AND ${statusOfUnfinished} = ANY($2)
          ORDER BY p.created_at DESC, p.plan_id DESC
          LIMIT $5)) AS one
       ORDER BY one.created_at DESC, one.plan_id DESC
       LIMIT $5)
    SELECT ${planColumns}
      FROM page JOIN plans p ON p.plan_id = page.plan_id ${countsOfPlan}
     ORDER BY p.created_at DESC, p.plan_id DESC`,
});

const selectAllPlans = defineStatement<PlanRow>({
  name: "plans_list_all",
  text: `
    SELECT ${planColumns}
      FROM (SELECT plan_id, name, namespace, priority, labels, created_at, finished_at, cancel_requested_at, held_at, held_by, hold_reason,
                   traceparent, outcome, total_tasks
              FROM plans
             WHERE (created_at, plan_id) < ($1::timestamptz, $2::uuid)
             ORDER BY created_at DESC, plan_id DESC
             LIMIT $3) AS p ${countsOfPlan}
     ORDER BY p.created_at DESC, p.plan_id DESC`,
});

/** All runs of one name; how many of them there are is what it costs at most. */
const selectPlansOfName = defineStatement<PlanRow>({
  name: "plans_list_of_name",
  text: `
    SELECT ${planColumns}
      FROM plans p ${countsOfPlan}
     WHERE p.name = $6 AND (p.created_at, p.plan_id) < ($3::timestamptz, $4::uuid)
       AND CASE WHEN p.outcome IS NULL THEN ${statusOfUnfinished} = ANY($2) ELSE p.outcome = ANY($1) END
     ORDER BY p.created_at DESC, p.plan_id DESC
     LIMIT $5`,
});

const ENDED: ReadonlySet<PlanStatus> = new Set<PlanStatus>(["succeeded", "failed", "cancelled"]);
const ALL: readonly PlanStatus[] = ["dispatched", "partly_paused", "paused", ...ENDED];

export async function listPlans(
  db: Queryable,
  filter: { readonly statuses: readonly PlanStatus[]; readonly name: string },
  page: Page,
): Promise<Listed<PlanRecord>> {
  const wanted = [...new Set(filter.statuses.length === 0 ? ALL : filter.statuses)];
  const ended = wanted.filter((status) => ENDED.has(status));
  const unfinished = wanted.filter((status) => !ENDED.has(status));
  const place = [...newestFirst(page), page.limit + 1];
  const rows =
    filter.name !== ""
      ? await db.query(selectPlansOfName, [ended, unfinished, ...place, filter.name])
      : wanted.length === ALL.length
        ? await db.query(selectAllPlans, place)
        : await db.query(selectPlans, [ended, unfinished, ...place]);
  return listed(rows, page.limit, (row) => [row.created_text, row.plan_id], planFromRow);
}

function planFromRow(row: PlanRow): PlanRecord {
  const { pending, paused, reserved, assigned, running, succeeded, failed, cancelled, lost } = row;
  const counts: TaskCounts = { pending, paused, reserved, assigned, running, succeeded, failed, cancelled, lost };
  return {
    planId: row.plan_id,
    name: row.name,
    namespace: row.namespace,
    priority: row.priority,
    labels: row.labels,
    createdAtMs: row.created_at,
    finishedAtMs: row.finished_at,
    cancelRequested: row.cancel_requested,
    counts,
    hold: row.held_at === null ? null : { reason: row.hold_reason, heldBy: row.held_by, heldAtMs: row.held_at },
    traceparent: row.traceparent,
  };
}
