/** What operators change: cordons, and who belongs to the fleet. Rare, so written with knex's builder. */
import type { Database, Transaction } from "@headroom/postgres";

/** Answers whether the agent exists. */
export async function setCordon(db: Database, agentId: string, cordoned: boolean, reason: string): Promise<boolean> {
  const changed = await db
    .knex("agents")
    .where({ agent_id: agentId })
    .whereNull("removed_at")
    .update({
      cordoned,
      cordon_reason: cordoned ? reason.replaceAll("\0", "\ufffd") : "",
      ...(!cordoned && { draining: false, drain_deadline: null }),
      changed_at: db.knex.fn.now(),
    });
  return changed > 0;
}

export function removeAgent(db: Database, agentId: string): Promise<"removed" | "not_offline" | "not_found"> {
  return db.transaction((tx) => removeIn(tx, agentId));
}

async function removeIn({ knex }: Transaction, agentId: string): Promise<"removed" | "not_offline" | "not_found"> {
  // The credential first, as a Hello does: it waits, and finds it gone.
  const credential = await knex("agent_credentials").where({ agent_id: agentId }).forUpdate().select("agent_id");
  // Then the guard, as every change of reservations does; nothing can be promised there meanwhile.
  await knex("agent_guards").where({ agent_id: agentId }).forUpdate().select("agent_id");
  const agent = await knex("agents")
    .join("agent_liveness", "agent_liveness.agent_id", "agents.agent_id")
    .where("agents.agent_id", agentId)
    .whereNull("agents.removed_at")
    .forUpdate()
    .first<{ status: string } | undefined>("agent_liveness.status");
  if (agent !== undefined && agent.status !== "offline") return "not_offline";
  await knex("agent_credentials").where({ agent_id: agentId }).delete();
  if (agent === undefined) return credential.length > 0 ? "removed" : "not_found";
  const now = knex.fn.now();
  await knex("agents").where({ agent_id: agentId }).update({
    removed_at: now,
    cordoned: false,
    cordon_reason: "",
    draining: false,
    drain_deadline: null,
    changed_at: now,
  });
  await knex("agent_samples").where({ agent_id: agentId }).delete();
  // Rows without an agent that is known would stand in the way of their attempts' next try, so no tombstones stay.
  await knex("reservations").where({ agent_id: agentId }).delete();
  await knex("agent_guards").where({ agent_id: agentId }).increment("version", 1).update({ changed_at: now });
  return "removed";
}
