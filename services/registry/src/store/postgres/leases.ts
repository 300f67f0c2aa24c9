/** What time ends: leases of unconfirmed reservations, and tombstones. All by the database's clock. */
import { defineStatement, type Queryable } from "@headroom/postgres";

const due = defineStatement<{ readonly attempt_id: string; readonly agent_id: string }>({
  name: "registry_due_leases",
  text: `
SELECT attempt_id, agent_id FROM reservations
 WHERE lease_expires_at IS NOT NULL AND lease_expires_at <= now()
 ORDER BY lease_expires_at LIMIT $1`,
});

// By the place of the rows: a join by their id is planned as a walk through all of them.
const purge = defineStatement({
  name: "registry_purge_tombstones",
  text: `
DELETE FROM reservations
 WHERE ctid = ANY (ARRAY(
   SELECT ctid FROM reservations
    WHERE released_at IS NOT NULL AND released_at < now() - $1::bigint * interval '1 millisecond'
    ORDER BY released_at LIMIT $2 FOR UPDATE SKIP LOCKED))`,
});

const find = defineStatement<{ readonly attempt_id: string; readonly agent_id: string }>({
  name: "registry_find_reservations",
  text: `SELECT attempt_id, agent_id FROM reservations WHERE attempt_id = ANY ($1::uuid[])`,
});

export async function findDueLeases(db: Queryable, limit: number): Promise<{ attemptId: string; agentId: string }[]> {
  const rows = await db.query(due, [limit]);
  return rows.map(({ attempt_id, agent_id }) => ({ attemptId: attempt_id, agentId: agent_id }));
}

export function purgeTombstones(db: Queryable, olderThanMs: number, limit: number): Promise<number> {
  return db.execute(purge, [olderThanMs, limit]);
}

export async function findReservations(db: Queryable, attemptIds: readonly string[]): Promise<Map<string, string>> {
  const rows = await db.query(find, [[...attemptIds]]);
  return new Map(rows.map((row) => [row.attempt_id, row.agent_id]));
}
