/** Registers agents and opens their sessions: one statement for a whole group of Hellos. */
import { defineStatement, type Queryable } from "@headroom/postgres";
import type { Admission } from "../registry-store.ts";
import { toJson } from "./to-json.ts";

const statement = defineStatement<{ readonly agent_id: string }>({
  name: "registry_admit",
  text: `
WITH hello AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS h(
    agent_id uuid, hostname text, agent_type text, pool_name text, labels jsonb, version text, platform text,
    incarnation uuid, replica_id uuid, attached boolean, owner_hold boolean)
   ORDER BY agent_id
), agent AS (
  INSERT INTO agents AS a (agent_id, hostname, agent_type, pool_name, labels, version, platform)
  SELECT agent_id, hostname, agent_type, pool_name, labels, version, platform FROM hello
  ON CONFLICT (agent_id) DO UPDATE
     SET hostname = excluded.hostname, agent_type = excluded.agent_type, pool_name = excluded.pool_name,
         labels = excluded.labels, version = excluded.version, platform = excluded.platform,
         removed_at = NULL, changed_at = now()
), guard AS (
  INSERT INTO agent_guards (agent_id) SELECT agent_id FROM hello ON CONFLICT (agent_id) DO NOTHING
)
INSERT INTO agent_liveness AS l (agent_id, status, status_reason, status_since, epoch, incarnation, replica_id,
                                 last_beat_at, attached, owner_hold)
SELECT agent_id, 'online', 'hello', now(), 1, incarnation, replica_id, now(), attached, owner_hold FROM hello
ON CONFLICT (agent_id) DO UPDATE
   SET status_since = CASE WHEN l.status = 'online' THEN l.status_since ELSE now() END,
       status = 'online', status_reason = 'hello', epoch = l.epoch + 1,
       incarnation = excluded.incarnation, replica_id = excluded.replica_id, last_beat_at = now(),
       attached = excluded.attached, owner_hold = excluded.owner_hold, changed_at = now()
RETURNING l.agent_id`,
});

export async function admitAgents(db: Queryable, admissions: readonly Admission[]): Promise<void> {
  const rows = admissions.map(({ identity, incarnation, replicaId, attached, ownerHold }) => ({
    agent_id: identity.agentId,
    hostname: identity.hostname,
    agent_type: identity.agentType,
    pool_name: identity.poolName,
    labels: identity.labels,
    version: identity.version,
    platform: identity.platform,
    incarnation,
    replica_id: replicaId,
    attached,
    owner_hold: ownerHold,
  }));
  await db.query(statement, [toJson(rows)]);
}
