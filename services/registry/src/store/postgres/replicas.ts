/** Which registry processes live. */
import { defineStatement, type Queryable } from "@headroom/postgres";
import type { ReplicaLease } from "../registry-store.ts";

// Rows of the dead go after a minute: until then they tell the living whose agents are in doubt.
const renew = defineStatement<{ readonly replica_id: string; readonly lease_expires_at: number }>({
  name: "registry_renew_replica",
  text: `
WITH mine AS (
  INSERT INTO replicas AS r (replica_id, lease_expires_at)
  VALUES ($1, now() + $2::bigint * interval '1 millisecond')
  ON CONFLICT (replica_id) DO UPDATE SET lease_expires_at = excluded.lease_expires_at
  RETURNING r.replica_id, r.lease_expires_at
), dead AS (
  DELETE FROM replicas WHERE lease_expires_at < now() - interval '1 minute' AND replica_id <> $1
)
SELECT replica_id, lease_expires_at FROM mine
UNION ALL
SELECT replica_id, lease_expires_at FROM replicas WHERE replica_id <> $1 AND lease_expires_at > now()`,
});

const retire = defineStatement({
  name: "registry_retire_replica",
  text: `DELETE FROM replicas WHERE replica_id = $1`,
});

export async function renewReplica(db: Queryable, replicaId: string, leaseMs: number): Promise<ReplicaLease[]> {
  const rows = await db.query(renew, [replicaId, leaseMs]);
  return rows.map((row) => ({ replicaId: row.replica_id, leaseExpiresAtMs: row.lease_expires_at }));
}

export async function retireReplica(db: Queryable, replicaId: string): Promise<void> {
  await db.execute(retire, [replicaId]);
}
