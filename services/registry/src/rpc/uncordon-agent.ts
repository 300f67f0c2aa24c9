import type { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { setCordon } from "./cordon-agent.ts";
import type { HandlerDeps } from "./deps.ts";

/** Lets work come to an agent again. */
export function uncordonAgent(deps: HandlerDeps): UnaryHandler<wire.UncordonAgentRequest, wire.UncordonAgentResponse> {
  return async ({ agentId }, context) => ({ agent: await setCordon(deps, agentId, false, "", context) });
}
