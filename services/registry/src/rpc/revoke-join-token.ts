import type { wire } from "@headroom/contracts";
import { notFound, type UnaryHandler } from "@headroom/rpc";
import type { HandlerDeps } from "./deps.ts";

/** Ends a join token; who has joined with it stays. */
export function revokeJoinToken(
  deps: HandlerDeps,
): UnaryHandler<wire.RevokeJoinTokenRequest, wire.RevokeJoinTokenResponse> {
  return async (request, context) => {
    deps.requireReady();
    const tokenId = request.tokenId.toLowerCase();
    if (!(await deps.store.revokeJoinToken(tokenId))) {
      throw notFound(
        "JOIN_TOKEN_NOT_FOUND",
        `no join token ${tokenId} is known; "headroom agents token list" lists those that are`,
        { token_id: tokenId },
      );
    }
    context.logger.info({ token_id: tokenId }, "join token revoked");
    return {};
  };
}
