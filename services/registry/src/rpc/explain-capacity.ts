import { explanationToWire, needsFromWire, timestampFromMsOrNull, wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { DEFAULT_EXPLAINED_AGENTS, estimateRoom, explain } from "@headroom/scheduling";
import { viewOf } from "../fleet/agent-views.ts";
import type { HandlerDeps } from "./deps.ts";

/** Why needs fit or do not fit, by the predicate that reserves. */
export function explainCapacity(
  deps: HandlerDeps,
): UnaryHandler<wire.ExplainCapacityRequest, wire.ExplainCapacityResponse> {
  return async (request) => {
    deps.requireReady();
    const needs = needsFromWire(request.needs);
    const views = [...deps.fleet.agents()].map(viewOf);
    const maxAgents = request.maxAgents === 0 ? DEFAULT_EXPLAINED_AGENTS : request.maxAgents;
    const explanation = explain(views, needs, {}, maxAgents);
    const expected = explanation.verdict === "fits" ? null : estimateRoom(views, needs, deps.storeClock.now());
    return wire.ExplainCapacityResponse.fromPartial({
      explanation: explanationToWire(explanation, (agentId) => deps.fleet.get(agentId)),
      expectedAvailableAt: timestampFromMsOrNull(expected?.earliestMs ?? null),
    });
  };
}
