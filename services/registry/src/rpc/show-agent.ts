import type { wire } from "@headroom/contracts";
import { agentToWire } from "../queries/agent-to-wire.ts";
import type { StoredAgent } from "../store/stored-agent.ts";
import type { HandlerDeps } from "./deps.ts";

/** The agent as FleetService shows it, with its last beat as this process heard it. */
export function showAgent({ pulses, storeClock, clock, replicaId }: HandlerDeps, agent: StoredAgent): wire.Agent {
  const pulse = agent.replicaId === replicaId ? pulses.get(agent.agentId) : undefined;
  const nowMs = storeClock.now();
  const heardAtMs = pulse === undefined ? null : Math.round(nowMs - (clock.monotonic() - pulse.heardAtMs));
  return agentToWire(agent, heardAtMs ?? agent.lastBeatAtMs, nowMs);
}
