import {
  durationFromMsOrNull,
  explanationToWire,
  needsFromWire,
  timestampFromMsOrNull,
  wire,
} from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { DEFAULT_EXPLAINED_AGENTS, estimateRoom, explanationOf } from "@headroom/scheduling";
import { judgeFleet } from "../fleet/index/judge-fleet.ts";
import { viewsBySoonestEnd } from "../queries/soonest-ends.ts";
import type { HandlerDeps } from "./deps.ts";

/**
 * Agents whose verdicts a caller without a role may have at once. With 64 attempts each a thousand keep the process busy for up to a tenth
 * of a second.
 */
const MAX_ANONYMOUS_AGENTS = 100;

/** Why needs fit or do not fit, by the predicate that reserves. */
export function explainCapacity(
  deps: HandlerDeps,
): UnaryHandler<wire.ExplainCapacityRequest, wire.ExplainCapacityResponse> {
  return async (request, { caller }) => {
    deps.requireReady();
    const needs = needsFromWire(request.needs);
    const askedFor = request.maxAgents === 0 ? DEFAULT_EXPLAINED_AGENTS : request.maxAgents;
    const maxAgents = caller.roles.size === 0 ? Math.min(askedFor, MAX_ANONYMOUS_AGENTS) : askedFor;
    const judged = judgeFleet(deps.index, needs, {}, maxAgents, new Map());
    const explanation = explanationOf(judged, needs, {}, maxAgents);
    const isAmountShort = explanation.verdict === "not_now";
    const nowMs = deps.storeClock.now();
    const expected = isAmountShort ? estimateRoom(viewsBySoonestEnd(deps.index, needs), needs, nowMs) : null;
    return wire.ExplainCapacityResponse.fromPartial({
      explanation: explanationToWire(explanation, (agentId) => deps.fleet.get(agentId)),
      expectedAvailableAt: timestampFromMsOrNull(expected?.earliestMs ?? null),
      expectedAgentId: expected?.agentId ?? "",
      expectedAvailableIn: durationFromMsOrNull(expected === null ? null : Math.max(0, expected.earliestMs - nowMs)),
    });
  };
}
