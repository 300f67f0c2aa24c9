/** Agents that are being emptied. */
import { defineStatement, type Queryable } from "@headroom/postgres";
import { laterChange } from "./agent-row.ts";

// The guard moves along: a reservation that was decided on before conflicts, and is decided on anew without this agent.
const start = defineStatement<{ readonly agent_id: string }>({
  name: "registry_start_drain",
  text: `
WITH guard AS (
  UPDATE agent_guards g SET version = g.version + 1, changed_at = now()
    FROM agents a
   WHERE g.agent_id = $1 AND a.agent_id = g.agent_id AND a.removed_at IS NULL
  RETURNING g.agent_id
)
UPDATE agents a
   SET cordoned = true, draining = true, cordon_reason = $3,
       drain_deadline = now() + $2::bigint * interval '1 millisecond', changed_at = ${laterChange}
  FROM guard WHERE a.agent_id = guard.agent_id
RETURNING a.agent_id`,
});

const end = defineStatement({
  name: "registry_end_drains",
  text: `
UPDATE agents a
   SET draining = false, drain_deadline = NULL, changed_at = ${laterChange},
       cordon_reason = CASE a.cordon_reason WHEN '' THEN 'drained' ELSE a.cordon_reason || ' (drained)' END
 WHERE a.agent_id = ANY ($1::uuid[]) AND a.draining AND a.removed_at IS NULL
   AND NOT EXISTS (SELECT FROM reservations r WHERE r.agent_id = a.agent_id AND r.state <> 'released')`,
});

/** Answers whether the agent exists. */
export async function startDrain(
  db: Queryable,
  agentId: string,
  deadlineMs: number | null,
  reason: string,
): Promise<boolean> {
  const rows = await db.query(start, [agentId, deadlineMs, reason.replaceAll("\0", "\ufffd")]);
  return rows.length > 0;
}

export async function endDrains(db: Queryable, agentIds: readonly string[]): Promise<void> {
  await db.execute(end, [[...agentIds]]);
}
