/**
 * Registers agents and opens their sessions: one statement for a whole group of Hellos. Of two starts of an agent that
 * come to two registry processes at once, the row lets the first one in; whom a living process holds as online under
 * another incarnation is a clone, and keeps its row as it is; so does one of which a newer stream was let in, by this start of its program
 * or by a later one that is not offline: a network may deliver a Hello long after its stream was given up, and even after the program that
 * sent it was killed. Whoever shows a credential is let in only with the one that
 * is good; its row is locked meanwhile, so that no agent comes back while it is being removed.
 */
import { defineStatement, type Queryable } from "@headroom/postgres";
import type { Admission, RefusedAdmission } from "../registry-store.ts";
import { laterChange } from "./agent-row.ts";
import { findCredentials } from "./enrolments.ts";
import { toJson } from "./to-json.ts";

const statement = defineStatement<{ readonly agent_id: string }>({
  name: "registry_admit",
  text: `
WITH given AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb) AS h(
    agent_id uuid, hostname text, agent_type text, pool_name text, labels jsonb, version text, platform text,
    incarnation uuid, session bigint, replica_id uuid, attached boolean, owner_hold boolean, credential_id uuid)
), credentialed AS (
  SELECT c.agent_id FROM agent_credentials c JOIN given USING (agent_id)
   WHERE c.credential_id = given.credential_id AND c.pool_name = given.pool_name AND c.agent_type = given.agent_type
     FOR SHARE OF c
), hello AS (
  SELECT given.* FROM given
   WHERE NOT EXISTS (
     SELECT FROM agent_liveness held JOIN replicas r ON r.replica_id = held.replica_id AND r.lease_expires_at > now()
      WHERE held.agent_id = given.agent_id AND held.status = 'online'
        AND held.incarnation <> given.incarnation AND held.replica_id <> given.replica_id)
     AND NOT EXISTS (
     SELECT FROM agent_liveness held
      WHERE held.agent_id = given.agent_id AND given.session > 0 AND held.session > given.session
        AND (held.incarnation = given.incarnation OR held.status <> 'offline'))
     AND (given.credential_id IS NULL OR EXISTS (SELECT FROM credentialed c WHERE c.agent_id = given.agent_id))
   ORDER BY given.agent_id
), agent AS (
  INSERT INTO agents AS a (agent_id, hostname, agent_type, pool_name, labels, version, platform)
  SELECT agent_id, hostname, agent_type, pool_name, labels, version, platform FROM hello
  ON CONFLICT (agent_id) DO UPDATE
     SET hostname = excluded.hostname, agent_type = excluded.agent_type, pool_name = excluded.pool_name,
         labels = excluded.labels, version = excluded.version, platform = excluded.platform,
         removed_at = NULL, changed_at = ${laterChange}
), guard AS (
  INSERT INTO agent_guards (agent_id) SELECT agent_id FROM hello ON CONFLICT (agent_id) DO NOTHING
)
INSERT INTO agent_liveness AS l (agent_id, status, status_reason, status_since, epoch, incarnation, session, replica_id,
                                 last_beat_at, attached, owner_hold)
SELECT agent_id, 'online', 'hello', now(), 1, incarnation, session, replica_id, now(), attached, owner_hold FROM hello
ON CONFLICT (agent_id) DO UPDATE
   SET status_since = CASE WHEN l.status = 'online' THEN l.status_since ELSE now() END,
       status = 'online', status_reason = 'hello', epoch = l.epoch + 1,
       incarnation = excluded.incarnation, session = excluded.session, replica_id = excluded.replica_id, last_beat_at = now(),
       attached = excluded.attached, owner_hold = excluded.owner_hold, changed_at = now()
 WHERE (l.status <> 'online' OR l.incarnation = excluded.incarnation OR l.replica_id = excluded.replica_id
        OR NOT EXISTS (SELECT FROM replicas r WHERE r.replica_id = l.replica_id AND r.lease_expires_at > now()))
   AND (excluded.session = 0 OR l.session <= excluded.session
        OR (l.incarnation IS DISTINCT FROM excluded.incarnation AND l.status = 'offline'))
RETURNING l.agent_id`,
});

/** Answers the agents that were not admitted, and why. */
export async function admitAgents(db: Queryable, admissions: readonly Admission[]): Promise<RefusedAdmission[]> {
  const rows = admissions.map(({ identity, incarnation, session, replicaId, attached, ownerHold, credentialId }) => ({
    agent_id: identity.agentId,
    hostname: identity.hostname,
    agent_type: identity.agentType,
    pool_name: identity.poolName,
    labels: identity.labels,
    version: identity.version,
    platform: identity.platform,
    incarnation,
    session,
    replica_id: replicaId,
    attached,
    owner_hold: ownerHold,
    credential_id: credentialId,
  }));
  const admitted = new Set((await db.query(statement, [toJson(rows)])).map((row) => row.agent_id));
  const refused = admissions.filter(({ identity }) => !admitted.has(identity.agentId));
  return refused.length === 0 ? [] : explain(db, refused);
}

/** Read afterwards, for people: what is said of a credential that was removed in this moment may be one moment newer. */
async function explain(db: Queryable, refused: readonly Admission[]): Promise<RefusedAdmission[]> {
  const withCredential = refused.filter(({ credentialId }) => credentialId !== null);
  const good =
    withCredential.length === 0
      ? new Map<string, never>()
      : await findCredentials(
          db,
          withCredential.map(({ identity }) => identity.agentId),
        );
  const late = await findLate(db, refused);
  return refused.map(({ identity, credentialId }): RefusedAdmission => {
    const { agentId, poolName, agentType } = identity;
    if (late.has(agentId)) return { agentId, why: "late" };
    if (credentialId === null) return { agentId, why: "cloned" };
    const credential = good.get(agentId);
    if (credential?.credentialId !== credentialId) return { agentId, why: "credential_ended" };
    const isInScope = credential.poolName === poolName && credential.agentType === agentType;
    return isInScope ? { agentId, why: "cloned" } : { agentId, why: "other_scope", scope: credential };
  });
}

const newerSessions = defineStatement<{ readonly agent_id: string }>({
  name: "registry_newer_sessions",
  text: `
SELECT l.agent_id
  FROM jsonb_to_recordset($1::jsonb) AS given(agent_id uuid, incarnation uuid, session bigint)
  JOIN agent_liveness l USING (agent_id, incarnation)
 WHERE given.session > 0 AND l.session > given.session`,
});

async function findLate(db: Queryable, refused: readonly Admission[]): Promise<ReadonlySet<string>> {
  const given = refused.map(({ identity, incarnation, session }) => ({
    agent_id: identity.agentId,
    incarnation,
    session,
  }));
  return new Set((await db.query(newerSessions, [toJson(given)])).map((row) => row.agent_id));
}
