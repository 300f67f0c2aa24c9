import { defineStatement, type Queryable } from "@headroom/postgres";
import type { AttemptKnown, FencedAttempt } from "../model.ts";
import { type KnownRow, knownColumns, knownFromRow } from "./known-attempts.ts";

// One by one by their ids, as in `assign`: in one join the planner compares all that the agent runs with all that it asks for.
const renewStatement = defineStatement<KnownRow>({
  name: "attempts_renew",
  text: `
    WITH ours AS MATERIALIZED (
      SELECT a.attempt_id, a.task_id
        FROM unnest($1::uuid[], $2::bigint[]) AS r(attempt_id, fence)
       CROSS JOIN LATERAL (SELECT attempt_id, task_id, fence, agent_id, state FROM attempts WHERE attempt_id = r.attempt_id FOR UPDATE) AS a
       WHERE a.fence = r.fence AND a.agent_id = $3 AND a.state IN ('assigned', 'running'))
    UPDATE attempts a
       SET lease_expires_at = greatest(a.lease_expires_at, now() + a.work_lease_ms * interval '1 millisecond')
      FROM ours JOIN tasks t ON t.task_id = ours.task_id
     WHERE a.attempt_id = ours.attempt_id AND t.attempt_id = ours.attempt_id
 RETURNING ${knownColumns}`,
});

export async function renewLeases(
  db: Queryable,
  attempts: readonly FencedAttempt[],
  agentId: string,
): Promise<readonly AttemptKnown[]> {
  const rows = await db.query(renewStatement, [
    attempts.map(({ attemptId }) => attemptId),
    attempts.map(({ fence }) => fence),
    agentId,
  ]);
  return rows.map(knownFromRow);
}
