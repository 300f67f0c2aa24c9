/**
 * Writes states of liveness, many in one statement. Of an agent that a living registry process holds only that process writes: another one
 * that took it for dead may come to its verdict a moment after it is back.
 */
import { defineStatement, type Queryable } from "@headroom/postgres";
import type { StatusWrite } from "../registry-store.ts";
import { toJson } from "./to-json.ts";

const statement = defineStatement({
  name: "registry_write_statuses",
  text: `
UPDATE agent_liveness l
   SET status = w.status, status_reason = w.status_reason,
       status_since = to_timestamp(w.status_since_ms / 1000.0),
       attached = w.attached, owner_hold = w.owner_hold, flaps = w.flaps,
       last_flap_at = to_timestamp(w.last_flap_ms / 1000.0),
       probation_until = to_timestamp(w.probation_until_ms / 1000.0), changed_at = now()
  FROM jsonb_to_recordset($1::jsonb) AS w(agent_id uuid, epoch bigint, status text, status_reason text,
                                          status_since_ms bigint, attached boolean, owner_hold boolean,
                                          flaps integer, last_flap_ms bigint, probation_until_ms bigint, replica_id uuid)
 WHERE l.agent_id = w.agent_id AND l.epoch = w.epoch
   AND (l.replica_id IS NULL OR l.replica_id = w.replica_id
        OR NOT EXISTS (SELECT FROM replicas r WHERE r.replica_id = l.replica_id AND r.lease_expires_at > now()))`,
});

export async function writeStatuses(db: Queryable, statuses: readonly StatusWrite[]): Promise<void> {
  const rows = statuses.map((write) => ({
    agent_id: write.agentId,
    epoch: write.epoch,
    replica_id: write.replicaId,
    status: write.status,
    status_reason: write.statusReason,
    status_since_ms: write.statusSinceMs,
    attached: write.attached,
    owner_hold: write.ownerHold,
    flaps: write.flapping.flaps,
    last_flap_ms: write.flapping.lastFlapAtMs,
    probation_until_ms: write.flapping.probationUntilMs,
  }));
  await db.execute(statement, [toJson(rows)]);
}
