/** Join tokens: rare, written and read by operators. All times are the database's. */
import { type Database, defineStatement } from "@headroom/postgres";
import type { AgentType } from "@headroom/scheduling";
import type { JoinToken, NewJoinToken } from "../enrolment-store.ts";

interface JoinTokenRow {
  readonly token_id: string;
  readonly pool_name: string;
  readonly agent_type: AgentType;
  readonly max_uses: number;
  readonly uses: number;
  readonly created_at: number;
  readonly expires_at: number;
  readonly revoked_at: number | null;
  readonly is_expired: boolean;
}

const columns = `token_id, pool_name, agent_type, max_uses, uses, created_at, expires_at, revoked_at, expires_at <= now() AS is_expired`;

const insert = defineStatement({
  name: "registry_join_token_insert",
  text: `
INSERT INTO join_tokens (token_id, token_hash, request_id, pool_name, agent_type, max_uses, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, now() + $7::bigint * interval '1 millisecond')
ON CONFLICT (request_id) DO NOTHING`,
});

const ofRequest = defineStatement<JoinTokenRow>({
  name: "registry_join_token_of_request",
  text: `SELECT ${columns} FROM join_tokens WHERE token_id = $1 OR request_id = $2`,
});

// Nobody asks about a token that ended a month ago, and a table that only grows is a leak.
const purge = defineStatement({
  name: "registry_join_tokens_purge",
  text: `DELETE FROM join_tokens WHERE expires_at < now() - interval '30 days'`,
});

const list = defineStatement<JoinTokenRow>({
  name: "registry_join_tokens_list",
  text: `SELECT ${columns} FROM join_tokens ORDER BY created_at DESC, token_id`,
});

const revoke = defineStatement({
  name: "registry_join_token_revoke",
  text: `UPDATE join_tokens SET revoked_at = coalesce(revoked_at, now()) WHERE token_id = $1`,
});

const lock = defineStatement<JoinTokenRow>({
  name: "registry_join_token_lock",
  text: `SELECT ${columns} FROM join_tokens WHERE token_hash = $1 FOR UPDATE`,
});

const countUse = defineStatement({
  name: "registry_join_token_use",
  text: `UPDATE join_tokens SET uses = uses + 1 WHERE token_id = $1`,
});

export function createJoinToken(db: Database, token: NewJoinToken): Promise<JoinToken> {
  return db.transaction(async (tx) => {
    await tx.execute(purge, []);
    const { tokenId, tokenHash, requestId, poolName, agentType, maxUses, ttlMs } = token;
    await tx.execute(insert, [tokenId, tokenHash, requestId, poolName, agentType, maxUses, Math.round(ttlMs)]);
    const [row] = await tx.query(ofRequest, [tokenId, requestId]);
    if (row === undefined) throw new Error("a join token was not there right after it was made");
    return joinTokenOf(row);
  });
}

export async function listJoinTokens(db: Database): Promise<readonly JoinToken[]> {
  return (await db.query(list, [])).map(joinTokenOf);
}

export async function revokeJoinToken(db: Database, tokenId: string): Promise<boolean> {
  return (await db.execute(revoke, [tokenId])) > 0;
}

/** The token of this hash, locked until the transaction ends, so that its uses are counted one after the other. */
export async function lockJoinToken(
  tx: Pick<Database, "query">,
  tokenHash: Buffer,
): Promise<{ readonly token: JoinToken; readonly isExpired: boolean } | null> {
  const [row] = await tx.query(lock, [tokenHash]);
  return row === undefined ? null : { token: joinTokenOf(row), isExpired: row.is_expired };
}

export async function useJoinToken(tx: Pick<Database, "execute">, tokenId: string): Promise<void> {
  await tx.execute(countUse, [tokenId]);
}

function joinTokenOf(row: JoinTokenRow): JoinToken {
  return {
    tokenId: row.token_id,
    poolName: row.pool_name,
    agentType: row.agent_type,
    maxUses: row.max_uses,
    uses: row.uses,
    createdAtMs: row.created_at,
    expiresAtMs: row.expires_at,
    revokedAtMs: row.revoked_at,
    isUsable: row.revoked_at === null && !row.is_expired && row.uses < row.max_uses,
  };
}
