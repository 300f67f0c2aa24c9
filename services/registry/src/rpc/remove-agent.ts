import type { wire } from "@headroom/contracts";
import { failedPrecondition, type UnaryHandler } from "@headroom/rpc";
import type { HandlerDeps } from "./deps.ts";
import { agentNotFound } from "./find-agent.ts";

/** Forgets an agent that is OFFLINE, or that has enrolled and never came; its credential is useless from then on. */
export function removeAgent(deps: HandlerDeps): UnaryHandler<wire.RemoveAgentRequest, wire.RemoveAgentResponse> {
  return async (request, context) => {
    deps.requireReady();
    const agentId = request.agentId.toLowerCase();
    const agent = deps.fleet.get(agentId);
    if (agent !== undefined && agent.status !== "offline") throw notOffline(agentId, agent.status);
    // Its status may be on its way to the store still.
    await deps.writer.flush();
    const outcome = await deps.store.removeAgent(agentId);
    if (outcome === "not_found") throw agentNotFound(agentId);
    if (outcome === "not_offline") throw notOffline(agentId, "back, or was just now");
    deps.fleet.remove(agentId);
    deps.pulses.forget(agentId);
    context.logger.info({ agent_id: agentId }, "agent is removed from the fleet");
    return {};
  };
}

function notOffline(agentId: string, status: string): ReturnType<typeof failedPrecondition> {
  return failedPrecondition(
    "AGENT_NOT_OFFLINE",
    `agent ${agentId} is ${status}; stop its program first, and remove it when it is offline`,
  );
}
