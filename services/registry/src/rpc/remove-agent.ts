import type { wire } from "@headroom/contracts";
import { failedPrecondition, type UnaryHandler } from "@headroom/rpc";
import { mergeLoaded } from "../fleet/merge-loaded.ts";
import type { HandlerDeps } from "./deps.ts";
import { agentNotFound } from "./find-agent.ts";

/**
 * Forgets an agent that is OFFLINE, or that has enrolled and never came; its credential is useless from then on. Where the
 * answer was lost on its way, from the store or to the caller, the next try by gRPC itself is told that it is done, for the store
 * remembers whom it has removed, save one that never came. gRPC tries again as well what was refused while the service started.
 */
export function removeAgent(deps: HandlerDeps): UnaryHandler<wire.RemoveAgentRequest, wire.RemoveAgentResponse> {
  return async (request, context) => {
    deps.requireReady();
    const { fleet, pulses, store, writer } = deps;
    const agentId = request.agentId.toLowerCase();
    const known = fleet.get(agentId);
    if (known !== undefined && known.status !== "offline") throw notOffline(agentId, known.status);
    // Its status may be on its way to the store still.
    await writer.flush();
    const outcome = await store.removeAgent(agentId);
    if (outcome === "not_offline") {
      await takeUp(deps, agentId);
      throw notOffline(agentId, "back, or was just now");
    }
    // It may have said hello again after it was removed.
    if (fleet.get(agentId)?.epoch === known?.epoch) {
      fleet.remove(agentId);
      pulses.forget(agentId);
    }
    // What is known here and not there was removed before, and the answer was lost; so it may be when the call has been sent before.
    const isDone = outcome === "removed" || known !== undefined || (outcome === "removed_before" && context.isRepeat);
    if (!isDone) throw agentNotFound(agentId);
    context.logger.info({ agent_id: agentId }, "agent is removed from the fleet");
    return {};
  };
}

/**
 * The store knows of a session of which this process does not: the answer to its Hello was lost. An agent that never came back after that
 * would be online there for ever. Taken up here it is judged by its silence, as all are.
 */
async function takeUp({ fleet, pulses, store, storeClock, clock }: HandlerDeps, agentId: string): Promise<void> {
  const { agents, nowMs } = await store.loadAgents([agentId]);
  storeClock.observe(nowMs);
  const [stored] = agents;
  const current = fleet.get(agentId);
  if (stored === undefined || (current !== undefined && current.epoch >= stored.epoch)) return;
  pulses.heard(agentId, clock.monotonic());
  pulses.doubt(agentId, stored.status === "suspect" || stored.status === "unknown", clock.monotonic());
  fleet.put(mergeLoaded(current, stored, "this_process"));
}

function notOffline(agentId: string, status: string): ReturnType<typeof failedPrecondition> {
  return failedPrecondition(
    "AGENT_NOT_OFFLINE",
    `agent ${agentId} is ${status}; stop its program first, and remove it when it is offline`,
  );
}
