import { defineStatement, type Queryable } from "@headroom/postgres";
import type { FencedAttempt } from "../model.ts";
import type { Renewal } from "../port.ts";
import { type KnownRow, knownColumns, knownFromRow } from "./known-attempts.ts";
import { waitsAMoment } from "./lock-wait.ts";

// One by one by their ids, as in `assign`: in one join the planner compares all that the agent runs with all that it asks for.
const renew = (locks: string): string => `
    WITH ours AS MATERIALIZED (
      SELECT a.attempt_id, a.task_id
        FROM unnest($1::uuid[], $2::bigint[]) AS r(attempt_id, fence)
       CROSS JOIN LATERAL (SELECT attempt_id, task_id, fence, agent_id, state FROM attempts WHERE attempt_id = r.attempt_id ${locks}) AS a
       WHERE a.fence = r.fence AND a.agent_id = $3 AND a.state IN ('assigned', 'running')),
    renewed AS (
    UPDATE attempts a
       SET lease_expires_at = greatest(a.lease_expires_at, now() + a.work_lease_ms * interval '1 millisecond')
      FROM ours JOIN tasks t ON t.task_id = ours.task_id
     WHERE a.attempt_id = ours.attempt_id AND t.attempt_id = ours.attempt_id
 RETURNING ${knownColumns}, false AS in_use)`;

interface RenewedRow extends KnownRow {
  readonly in_use: boolean;
}

// What was not locked here, and is not known to have ended, somebody else has at this moment: a report or output of it, or a psql.
const renewStatement = defineStatement<RenewedRow>({
  name: "attempts_renew",
  text: `${renew("FOR UPDATE SKIP LOCKED")}
    SELECT * FROM renewed
     UNION ALL
    SELECT ${knownColumns}, true
      FROM unnest($1::uuid[], $2::bigint[]) AS r(attempt_id, fence)
     CROSS JOIN LATERAL (SELECT * FROM attempts WHERE attempt_id = r.attempt_id) AS a
      JOIN tasks t ON t.task_id = a.task_id AND t.attempt_id = a.attempt_id
     WHERE a.fence = r.fence AND a.agent_id = $3 AND a.state IN ('assigned', 'running')
       AND a.attempt_id <> ALL (ARRAY(SELECT attempt_id FROM ours))`,
});

const renewBrieflyStatement = defineStatement<RenewedRow>({
  name: "attempts_renew_waiting",
  text: `${renew(`AND ${waitsAMoment} FOR UPDATE`)} SELECT * FROM renewed`,
});

export async function renewLeases(
  db: Queryable,
  attempts: readonly FencedAttempt[],
  agentId: string,
  waits: "never" | "briefly",
): Promise<Renewal> {
  const rows = await db.query(waits === "never" ? renewStatement : renewBrieflyStatement, [
    attempts.map(({ attemptId }) => attemptId),
    attempts.map(({ fence }) => fence),
    agentId,
  ]);
  return {
    renewed: rows.filter((row) => !row.in_use).map(knownFromRow),
    inUse: rows.filter((row) => row.in_use).map(knownFromRow),
  };
}
