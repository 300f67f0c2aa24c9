/** Agents' credentials: given once for a join token, looked at with each Hello that shows one, gone when the agent is removed. */
import { type Database, defineStatement, type Queryable, type Transaction } from "@headroom/postgres";
import type { AgentType } from "@headroom/scheduling";
import type { Enrolment, EnrolmentOutcome, EnrolmentScope } from "../enrolment-store.ts";
import { lockJoinToken, useJoinToken } from "./join-tokens.ts";

const find = defineStatement<{
  readonly credential_id: string;
  readonly token_id: string;
  readonly request_id: string | null;
}>({
  name: "registry_credential_find",
  text: `SELECT credential_id, token_id, request_id FROM agent_credentials WHERE agent_id = $1`,
});

const isInFleet = defineStatement<{ readonly agent_id: string }>({
  name: "registry_agent_is_in_fleet",
  text: `SELECT agent_id FROM agents WHERE agent_id = $1 AND removed_at IS NULL`,
});

const insert = defineStatement({
  name: "registry_credential_insert",
  text: `
INSERT INTO agent_credentials (agent_id, credential_id, request_id, token_id, pool_name, agent_type)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (agent_id) DO NOTHING`,
});

const scopes = defineStatement<{
  readonly agent_id: string;
  readonly credential_id: string;
  readonly pool_name: string;
  readonly agent_type: AgentType;
}>({
  name: "registry_credential_scopes",
  text: `SELECT agent_id, credential_id, pool_name, agent_type FROM agent_credentials WHERE agent_id = ANY ($1::uuid[])`,
});

export function enrolAgent(db: Database, enrolment: Enrolment): Promise<EnrolmentOutcome> {
  return db.transaction((tx) => enrolIn(tx, enrolment));
}

async function enrolIn(tx: Transaction, enrolment: Enrolment): Promise<EnrolmentOutcome> {
  const { agentId, requestId, poolName, agentType, credentialId } = enrolment;
  const locked = await lockJoinToken(tx, enrolment.tokenHash);
  if (locked === null) return { kind: "unknown_token" };
  const { token, isExpired } = locked;
  const { tokenId } = token;
  const [known] = await tx.query(find, [agentId]);
  // Its answer was lost: whoever knows the request id is the one that asked, and gets it though the token may have ended since.
  if (known !== undefined && requestId !== null && known.request_id === requestId && known.token_id === tokenId)
    return { kind: "enrolled", tokenId, credentialId: known.credential_id, isRepeated: true };
  if (token.revokedAtMs !== null) return { kind: "revoked", token };
  if (isExpired) return { kind: "expired", token };
  if (token.poolName !== poolName || token.agentType !== agentType) return { kind: "other_scope", token };
  if (token.uses >= token.maxUses) return { kind: "used_up", token };
  // Ids can be read by anybody: with a token alone nobody takes over an agent that is there.
  if (known !== undefined || (await tx.query(isInFleet, [agentId])).length > 0) return { kind: "already_known" };
  const inserted = await tx.execute(insert, [agentId, credentialId, requestId, tokenId, poolName, agentType]);
  if (inserted === 0) return { kind: "already_known" };
  await useJoinToken(tx, tokenId);
  return { kind: "enrolled", tokenId, credentialId, isRepeated: false };
}

/** The credential that is good for each of these agents, and for what; agents without one are left out. */
export async function findCredentials(
  db: Queryable,
  agentIds: readonly string[],
): Promise<ReadonlyMap<string, EnrolmentScope & { readonly credentialId: string }>> {
  const rows = await db.query(scopes, [[...agentIds]]);
  return new Map(
    rows.map((row) => [
      row.agent_id,
      { credentialId: row.credential_id, poolName: row.pool_name, agentType: row.agent_type },
    ]),
  );
}
