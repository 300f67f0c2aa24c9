import type { wire } from "@headroom/contracts";
import type { CallContext, UnaryHandler } from "@headroom/rpc";
import { mergeAdministered } from "../fleet/merge-loaded.ts";
import type { HandlerDeps } from "./deps.ts";
import { agentNotFound, findAgent } from "./find-agent.ts";
import { showAgent } from "./show-agent.ts";

/** Keeps new work away from an agent. */
export function cordonAgent(deps: HandlerDeps): UnaryHandler<wire.CordonAgentRequest, wire.CordonAgentResponse> {
  return async ({ agentId, reason }, context) => ({ agent: await setCordon(deps, agentId, true, reason, context) });
}

/** Committed first, then shown. */
export async function setCordon(
  deps: HandlerDeps,
  givenId: string,
  cordoned: boolean,
  reason: string,
  context: CallContext,
): Promise<wire.Agent> {
  deps.requireReady();
  const { agentId } = findAgent(deps, givenId, context);
  const stored = await deps.store.setCordon(agentId, cordoned, reason);
  const current = deps.fleet.get(agentId);
  if (stored === null || current === undefined) throw agentNotFound(agentId);
  const agent = mergeAdministered(current, stored);
  deps.fleet.put(agent);
  context.logger.info({ agent_id: agentId, reason }, cordoned ? "agent is cordoned" : "agent is uncordoned");
  return showAgent(deps, agent);
}
