import { getAgentCapacityResponse, type wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { capacityOf } from "../queries/capacity-of.ts";
import type { HandlerDeps } from "./deps.ts";
import { findAgent } from "./find-agent.ts";

/** R-CAP-1..3: the capacity of one agent; zeros as long as it has sent no metrics. */
export function getAgentCapacity(
  deps: HandlerDeps,
): UnaryHandler<wire.GetAgentCapacityRequest, wire.GetAgentCapacityResponse> {
  return async ({ agentId }, context) => {
    deps.requireReady();
    const agent = findAgent(deps, agentId, context);
    return getAgentCapacityResponse(capacityOf(agent, deps.storeClock.now()));
  };
}
