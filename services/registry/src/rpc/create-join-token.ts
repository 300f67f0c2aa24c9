import { msFromDuration, timestampFromMs, type wire } from "@headroom/contracts";
import { HeadroomError, type UnaryHandler } from "@headroom/rpc";
import { readScope } from "../enrolment/read-scope.ts";
import type { HandlerDeps } from "./deps.ts";

const DEFAULT_TTL_MS = 3_600_000;

/** Makes a join token. What it answers is kept nowhere. */
export function createJoinToken(
  deps: HandlerDeps,
): UnaryHandler<wire.CreateJoinTokenRequest, wire.CreateJoinTokenResponse> {
  return async (request, context) => {
    deps.requireReady();
    const scope = readScope(request);
    const maxUses = request.maxUses === 0 ? 1 : request.maxUses;
    const newId = deps.random.uuid();
    const tokenHash = deps.joinTokens.hashOf(deps.joinTokens.write(newId));
    if (tokenHash === null) throw new Error("a join token was not one right after it was written");
    const token = await deps.store.createJoinToken({
      ...scope,
      tokenId: newId,
      tokenHash,
      requestId: request.requestId === "" ? null : request.requestId.toLowerCase(),
      maxUses,
      ttlMs: msFromDuration(request.ttl) ?? DEFAULT_TTL_MS,
    });
    const isSame =
      token.poolName === scope.poolName && token.agentType === scope.agentType && token.maxUses === maxUses;
    if (!isSame) throw requestIdReused();
    const { tokenId, poolName, agentType, expiresAtMs } = token;
    context.logger.info(
      { token_id: tokenId, pool: poolName, agent_type: agentType, max_uses: maxUses, repeated: tokenId !== newId },
      "join token made",
    );
    return { tokenId, joinToken: deps.joinTokens.write(tokenId), expiresAt: timestampFromMs(expiresAtMs) };
  };
}

function requestIdReused(): HeadroomError {
  return new HeadroomError({
    code: "ALREADY_EXISTS",
    reason: "REQUEST_ID_REUSED",
    message:
      "request_id was used for a join token of another pool, type or number of uses: give each a request_id of its own",
    fieldViolations: [{ field: "request_id", description: "was used for another join token" }],
  });
}
