import { defineStatement, type Queryable } from "@headroom/postgres";
import type { AttemptKnown, FencedAttempt } from "../model.ts";
import { type KnownRow, knownColumns, knownFromRow } from "./known-attempts.ts";

const renewStatement = defineStatement<KnownRow>({
  name: "attempts_renew",
  text: `
    UPDATE attempts a
       SET lease_expires_at = greatest(a.lease_expires_at, now() + a.work_lease_ms * interval '1 millisecond')
      FROM unnest($1::uuid[], $2::bigint[]) AS r(attempt_id, fence), tasks t
     WHERE a.attempt_id = r.attempt_id AND a.fence = r.fence AND a.agent_id = $3 AND a.state IN ('assigned', 'running')
       AND t.task_id = a.task_id AND t.attempt_id = a.attempt_id
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
