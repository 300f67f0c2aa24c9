/** What operators change: cordons, and who belongs to the fleet. */
import { type Database, defineStatement, type Transaction } from "@headroom/postgres";
import type { RemovalOutcome } from "../registry-store.ts";
import { laterChange } from "./agent-row.ts";

const updateCordon = defineStatement({
  name: "registry_set_cordon",
  text: `
UPDATE agents a
   SET cordoned = $2,
       cordon_reason = $3,
       draining = draining AND $2,
       drain_deadline = CASE WHEN $2 THEN drain_deadline END,
       changed_at = ${laterChange}
 WHERE agent_id = $1 AND removed_at IS NULL`,
});

/** Answers whether the agent exists. */
export async function setCordon(db: Database, agentId: string, cordoned: boolean, reason: string): Promise<boolean> {
  const kept = cordoned ? reason.replaceAll("\0", "\ufffd") : "";
  return (await db.execute(updateCordon, [agentId, cordoned, kept])) > 0;
}

// The credential first, as a Hello does: it waits, and finds it gone.
const lockCredential = defineStatement<{ agent_id: string }>({
  name: "registry_lock_credential",
  text: `SELECT agent_id FROM agent_credentials WHERE agent_id = $1 FOR UPDATE`,
});
// Then the guard, as every change of reservations does; nothing can be promised there meanwhile.
const lockGuard = defineStatement<{ agent_id: string }>({
  name: "registry_lock_guard",
  text: `SELECT agent_id FROM agent_guards WHERE agent_id = $1 FOR UPDATE`,
});
const lockAgent = defineStatement<{ status: string; is_removed: boolean }>({
  name: "registry_lock_agent_to_remove",
  text: `
SELECT l.status, a.removed_at IS NOT NULL AS is_removed
  FROM agents a JOIN agent_liveness l USING (agent_id)
 WHERE a.agent_id = $1
   FOR UPDATE`,
});
const deleteCredential = defineStatement({
  name: "registry_delete_credential",
  text: `DELETE FROM agent_credentials WHERE agent_id = $1`,
});
const markRemoved = defineStatement({
  name: "registry_mark_removed",
  text: `
UPDATE agents a
   SET removed_at = now(), cordoned = false, cordon_reason = '', draining = false, drain_deadline = NULL,
       changed_at = ${laterChange}
 WHERE agent_id = $1`,
});
const deleteSample = defineStatement({
  name: "registry_delete_sample",
  text: `DELETE FROM agent_samples WHERE agent_id = $1`,
});
// Rows without an agent that is known would stand in the way of their attempts' next try, so no tombstones stay.
const deleteReservations = defineStatement({
  name: "registry_delete_reservations_of",
  text: `DELETE FROM reservations WHERE agent_id = $1`,
});
const turnGuard = defineStatement({
  name: "registry_turn_guard",
  text: `UPDATE agent_guards SET version = version + 1, changed_at = now() WHERE agent_id = $1`,
});

export function removeAgent(db: Database, agentId: string): Promise<RemovalOutcome> {
  return db.transaction((tx) => removeIn(tx, agentId));
}

async function removeIn(tx: Transaction, agentId: string): Promise<RemovalOutcome> {
  const credential = await tx.query(lockCredential, [agentId]);
  await tx.query(lockGuard, [agentId]);
  const [agent] = await tx.query(lockAgent, [agentId]);
  const isInFleet = agent !== undefined && !agent.is_removed;
  if (isInFleet && agent.status !== "offline") return "not_offline";
  await tx.execute(deleteCredential, [agentId]);
  if (!isInFleet && credential.length > 0) return "removed";
  if (!isInFleet) return agent === undefined ? "not_found" : "removed_before";
  for (const statement of [markRemoved, deleteSample, deleteReservations, turnGuard]) {
    await tx.execute(statement, [agentId]);
  }
  return "removed";
}
