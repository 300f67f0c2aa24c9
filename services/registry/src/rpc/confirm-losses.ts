import type { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import type { HandlerDeps } from "./deps.ts";

/** The agents that the mass-loss brake keeps suspect are really gone. Other registry processes learn it within a second. */
export function confirmLosses(deps: HandlerDeps): UnaryHandler<wire.ConfirmLossesRequest, wire.ConfirmLossesResponse> {
  return async (_request, context) => {
    deps.requireReady();
    const agentsHeld = deps.sweep.heldAgents;
    deps.storeClock.observe((await deps.store.confirmLosses()).nowMs);
    deps.sweep.confirmLosses();
    context.logger.warn({ agents_held: agentsHeld }, "an operator confirmed that the agents held back are gone");
    return { agentsHeld };
  };
}
