/** What the sweep looks for: attempts with which something is to happen by now. One statement, for nearly always there is nothing. */
import { defineStatement, type Queryable } from "@headroom/postgres";
import type { DueAttempts, DueLimits } from "../port.ts";
import { knownColumns, knownFromRow, type KnownRow } from "./known-attempts.ts";

/** At least one row comes, for the time in it. */
type DueRow = { readonly now_ms: number } & (
  | (KnownRow & { readonly due: "undelivered" | "lost" | "reservation" })
  | { readonly due: null }
);

const due = defineStatement<DueRow>({
  name: "attempts_due",
  text: `
    SELECT (extract(epoch FROM now()) * 1000)::double precision AS now_ms, due.*
      FROM (SELECT) AS once LEFT JOIN (
    (SELECT 'undelivered' AS due, ${knownColumns}
       FROM attempts a JOIN tasks t ON t.task_id = a.task_id
      WHERE a.state = 'assigned' AND a.sent_at IS NULL AND a.assigned_at <= now() - $1 * interval '1 millisecond'
        AND a.plan_id <> ALL($5::uuid[])
      ORDER BY a.assigned_at
      LIMIT $4)
    UNION ALL
    (SELECT 'lost', ${knownColumns}
       FROM attempts a JOIN tasks t ON t.task_id = a.task_id
      WHERE a.state IN ('assigned', 'running') AND a.lease_expires_at <= now() - $2 * interval '1 millisecond'
        AND a.plan_id <> ALL($5::uuid[]) AND a.attempt_id <> ALL($6::uuid[])
        AND ($7::double precision IS NULL OR a.work_lease_ms + $2 <= $7)
      ORDER BY a.lease_expires_at
      LIMIT $4)
    UNION ALL
    (SELECT 'reservation', ${knownColumns}
       FROM attempts a JOIN tasks t ON t.task_id = a.task_id
      WHERE a.state = 'assigned' AND a.sent_at IS NOT NULL AND a.reservation_expires_at <= now() + $3 * interval '1 millisecond'
      ORDER BY a.reservation_expires_at
      LIMIT $4)) AS due ON true`,
});

export async function findDueAttempts(
  db: Queryable,
  { undeliveredAfterMs, lostAfterMs, renewAheadMs, limit, exceptPlanIds, exceptLostIds, clockSetAgoMs }: DueLimits,
): Promise<DueAttempts> {
  const rows = await db.query(due, [
    undeliveredAfterMs,
    lostAfterMs,
    renewAheadMs,
    limit,
    exceptPlanIds,
    exceptLostIds,
    clockSetAgoMs,
  ]);
  const of = (kind: "undelivered" | "lost" | "reservation"): DueAttempts["lost"] =>
    rows.flatMap((row) => (row.due === kind ? [knownFromRow(row)] : []));
  return {
    nowMs: rows[0]?.now_ms ?? Number.NaN,
    undelivered: of("undelivered"),
    lost: of("lost"),
    unanswered: of("reservation"),
  };
}
