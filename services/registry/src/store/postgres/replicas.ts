/** Which registry processes live, and what operators told all of them. */
import { defineStatement, type Queryable } from "@headroom/postgres";
import type { ReplicaLeases } from "../registry-store.ts";

interface ReplicaRow {
  readonly replica_id: string;
  readonly lease_expires_at: number;
  readonly losses_confirmed_at: number | null;
  readonly now: number;
}

// Rows of the dead go after a minute: until then they tell the living whose agents are in doubt.
const renew = defineStatement<ReplicaRow>({
  name: "registry_renew_replica",
  answerWithinMs: 5_000,
  text: `
WITH mine AS (
  INSERT INTO replicas AS r (replica_id, lease_expires_at)
  VALUES ($1, now() + $2::bigint * interval '1 millisecond')
  ON CONFLICT (replica_id) DO UPDATE SET lease_expires_at = excluded.lease_expires_at
  RETURNING r.replica_id, r.lease_expires_at, r.losses_confirmed_at
), dead AS (
  DELETE FROM replicas WHERE lease_expires_at < now() - interval '1 minute' AND replica_id <> $1
)
SELECT replica_id, lease_expires_at, losses_confirmed_at, now() AS now FROM mine
UNION ALL
SELECT replica_id, lease_expires_at, losses_confirmed_at, now() FROM replicas WHERE replica_id <> $1 AND lease_expires_at > now()`,
});

const retire = defineStatement({
  name: "registry_retire_replica",
  text: `DELETE FROM replicas WHERE replica_id = $1`,
});

const confirm = defineStatement({
  name: "registry_confirm_losses",
  text: `UPDATE replicas SET losses_confirmed_at = now() WHERE lease_expires_at > now()`,
});

export async function renewReplica(db: Queryable, replicaId: string, leaseMs: number): Promise<ReplicaLeases> {
  const rows = await db.query(renew, [replicaId, leaseMs]);
  const own = rows.find((row) => row.replica_id === replicaId);
  if (own === undefined) throw new Error("the lease of this registry process was not written");
  return {
    nowMs: own.now,
    replicas: rows.map((row) => ({ replicaId: row.replica_id, leaseExpiresAtMs: row.lease_expires_at })),
    lossesConfirmedAtMs: own.losses_confirmed_at,
  };
}

export async function retireReplica(db: Queryable, replicaId: string): Promise<void> {
  await db.execute(retire, [replicaId]);
}

export async function confirmLosses(db: Queryable): Promise<void> {
  await db.execute(confirm, []);
}
