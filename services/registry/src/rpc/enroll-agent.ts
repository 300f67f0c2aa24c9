import type { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import {
  alreadyEnrolledError,
  tokenExpiredError,
  tokenInvalidError,
  tokenRevokedError,
  tokenScopeError,
  tokenUsedUpError,
} from "../enrolment/errors.ts";
import { readScope } from "../enrolment/read-scope.ts";
import type { HandlerDeps } from "./deps.ts";

/** Exchanges a join token for a credential of one agent. */
export function enrollAgent(deps: HandlerDeps): UnaryHandler<wire.EnrollAgentRequest, wire.EnrollAgentResponse> {
  return async (request, context) => {
    deps.requireReady();
    const agentId = request.agentId.toLowerCase();
    const scope = readScope(request);
    const tokenHash = deps.joinTokens.hashOf(request.joinToken);
    // What nobody here has written is refused before the database is asked.
    if (tokenHash === null) throw tokenInvalidError();
    const outcome = await deps.store.enrolAgent({
      ...scope,
      tokenHash,
      agentId,
      requestId: request.requestId === "" ? null : request.requestId.toLowerCase(),
      credentialId: deps.random.uuid(),
    });
    switch (outcome.kind) {
      case "enrolled": {
        const { tokenId, credentialId, isRepeated } = outcome;
        const { hostname } = request;
        const { peer } = context.caller;
        context.logger.info(
          { agent_id: agentId, hostname, peer, token_id: tokenId, pool: scope.poolName, repeated: isRepeated },
          "agent enrolled",
        );
        return { credential: deps.credentials.write({ agentId, credentialId }) };
      }
      case "unknown_token":
        throw tokenInvalidError();
      case "revoked":
        throw tokenRevokedError(outcome.token);
      case "expired":
        throw tokenExpiredError(outcome.token);
      case "used_up":
        throw tokenUsedUpError(outcome.token);
      case "other_scope":
        throw tokenScopeError(outcome.token, scope);
      case "already_known":
        throw alreadyEnrolledError(agentId);
    }
  };
}
