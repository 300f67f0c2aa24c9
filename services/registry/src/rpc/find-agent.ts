import type { CallContext } from "@headroom/rpc";
import { notFound } from "@headroom/rpc";
import type { StoredAgent } from "../store/stored-agent.ts";
import type { HandlerDeps } from "./deps.ts";

/** The agent; throws NOT_FOUND (AGENT_NOT_FOUND), logged at debug (R-CAP-2). */
export function findAgent(deps: HandlerDeps, agentId: string, context: CallContext): StoredAgent {
  const id = agentId.toLowerCase();
  const agent = deps.fleet.get(id);
  if (agent !== undefined) return agent;
  context.logger.debug({ agent_id: id }, "no such agent");
  throw agentNotFound(id);
}

export function agentNotFound(agentId: string): ReturnType<typeof notFound> {
  return notFound("AGENT_NOT_FOUND", `no agent ${agentId} is known; "headroom agents" lists those that are`, {
    agent_id: agentId,
  });
}
