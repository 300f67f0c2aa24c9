import { msFromDuration, type wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { mergeAdministered } from "../fleet/merge-loaded.ts";
import type { HandlerDeps } from "./deps.ts";
import { agentNotFound, findAgent } from "./find-agent.ts";
import { showAgent } from "./show-agent.ts";

/** Cordons an agent and lets what runs there end. Committed first, then shown; the sweep sees when it is empty. */
export function drainAgent(deps: HandlerDeps): UnaryHandler<wire.DrainAgentRequest, wire.DrainAgentResponse> {
  return async ({ agentId: givenId, deadline, reason }, context) => {
    deps.requireReady();
    const { agentId } = findAgent(deps, givenId, context);
    const deadlineMs = msFromDuration(deadline);
    const stored = await deps.store.startDrain(agentId, deadlineMs, reason);
    const current = deps.fleet.get(agentId);
    if (stored === null || current === undefined) throw agentNotFound(agentId);
    const agent = mergeAdministered(current, stored);
    deps.fleet.put(agent);
    const attempts = agent.reservations.heldCount;
    context.logger.info({ agent_id: agentId, reason, deadline_ms: deadlineMs, attempts }, "agent is being drained");
    return { agent: showAgent(deps, agent) };
  };
}
