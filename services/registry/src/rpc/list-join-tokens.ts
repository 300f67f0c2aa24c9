import { agentTypeWire, timestampFromMs, wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { pageOf } from "../queries/paging.ts";
import type { JoinToken } from "../store/enrolment-store.ts";
import type { HandlerDeps } from "./deps.ts";

const DEFAULT_PAGE_SIZE = 100;

/** The join tokens, the newest first. There are few: operators make them by hand, and they are deleted a month after their end. */
export function listJoinTokens(
  deps: HandlerDeps,
): UnaryHandler<wire.ListJoinTokensRequest, wire.ListJoinTokensResponse> {
  return async ({ pageSize, pageToken }) => {
    deps.requireReady();
    const tokens = await deps.store.listJoinTokens();
    const rowOf = ({ createdAtMs, tokenId }: JoinToken) => ({ value: createdAtMs, agentId: tokenId });
    const page = pageOf(tokens, { descending: true }, rowOf, {
      pageSize: pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize,
      pageToken,
      question: ["join-tokens"],
    });
    const { nextPageToken, totalSize } = page;
    return { tokens: page.rows.map(toWire), nextPageToken, totalSize };
  };
}

function toWire(token: JoinToken): wire.JoinToken {
  const { tokenId, poolName, maxUses, uses, isUsable, revokedAtMs } = token;
  return {
    tokenId,
    poolName,
    maxUses,
    uses,
    usable: isUsable,
    agentType: agentTypeWire.toWire(token.agentType),
    createdAt: timestampFromMs(token.createdAtMs),
    expiresAt: timestampFromMs(token.expiresAtMs),
    revokedAt: revokedAtMs === null ? undefined : timestampFromMs(revokedAtMs),
  };
}
