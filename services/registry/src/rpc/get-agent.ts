import type { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import type { HandlerDeps } from "./deps.ts";
import { findAgent } from "./find-agent.ts";
import { showAgent } from "./show-agent.ts";

/** One agent. */
export function getAgent(deps: HandlerDeps): UnaryHandler<wire.GetAgentRequest, wire.GetAgentResponse> {
  return async ({ agentId }, context) => {
    deps.requireReady();
    return { agent: showAgent(deps, findAgent(deps, agentId, context)) };
  };
}
