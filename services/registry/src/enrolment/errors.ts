/** Why an agent cannot join, and the way out. */
import { HeadroomError } from "@headroom/rpc";
import type { EnrolmentScope, JoinToken } from "../store/enrolment-store.ts";

const MAKE_ANOTHER = 'make another one with "headroom agents token create"';

export function tokenInvalidError(): HeadroomError {
  return new HeadroomError({
    code: "UNAUTHENTICATED",
    reason: "JOIN_TOKEN_INVALID",
    message: `this is no join token of this Headroom: was it copied whole, and is this the right registry? Else ${MAKE_ANOTHER}`,
  });
}

export function tokenRevokedError(token: JoinToken): HeadroomError {
  return ended(token, "JOIN_TOKEN_REVOKED", "an operator has ended this join token");
}

export function tokenExpiredError(token: JoinToken): HeadroomError {
  return ended(token, "JOIN_TOKEN_EXPIRED", `this join token ended at ${new Date(token.expiresAtMs).toISOString()}`);
}

export function tokenUsedUpError(token: JoinToken): HeadroomError {
  const uses = token.maxUses === 1 ? "one agent" : `${token.maxUses} agents`;
  return ended(token, "JOIN_TOKEN_USED_UP", `this join token was for ${uses} and is used up`);
}

export function tokenScopeError(token: JoinToken, asked: EnrolmentScope): HeadroomError {
  const isPool = token.poolName !== asked.poolName;
  const flag = isPool ? `--pool ${token.poolName}` : `--type ${token.agentType}`;
  const what = isPool
    ? `the pool "${token.poolName}", and this agent is for the pool "${asked.poolName}"`
    : `agents of the type ${token.agentType}, and this one is of the type ${asked.agentType}`;
  return new HeadroomError({
    code: "PERMISSION_DENIED",
    reason: isPool ? "JOIN_TOKEN_WRONG_POOL" : "JOIN_TOKEN_WRONG_TYPE",
    message: `this join token is for ${what}: start the agent with ${flag}, or ${MAKE_ANOTHER}`,
    metadata: { token_id: token.tokenId, pool_name: token.poolName, agent_type: token.agentType },
  });
}

export function alreadyEnrolledError(agentId: string): HeadroomError {
  return new HeadroomError({
    code: "ALREADY_EXISTS",
    reason: "AGENT_ALREADY_ENROLLED",
    message:
      `agent ${agentId} belongs to the fleet already. If this machine lost its credential, stop the agent, remove it with ` +
      `"headroom agents remove ${agentId}" and join again; if its data folder was copied from another machine, delete ` +
      "identity.json there to join as an agent of its own",
    metadata: { agent_id: agentId },
  });
}

function ended({ tokenId }: JoinToken, reason: string, what: string): HeadroomError {
  return new HeadroomError({
    code: "FAILED_PRECONDITION",
    reason,
    message: `${what}: ${MAKE_ANOTHER}`,
    metadata: { token_id: tokenId },
  });
}
