/** An agent's capacity as every answer shows it: single, fleet and watch alike (R-CAP-7). */
import { agentCapacityToWire, wire } from "@headroom/contracts";
import type { EpochMs } from "@headroom/scheduling";
import { viewOf } from "../fleet/agent-views.ts";
import type { StoredAgent } from "../store/stored-agent.ts";

export function capacityOf(agent: StoredAgent, nowMs: EpochMs): wire.AgentCapacity {
  return agentCapacityToWire(viewOf(agent), {
    hostname: agent.hostname,
    expectedAvailableAtMs: nextExpectedEndMs(agent, nowMs),
  });
}

/** The next expected end of what runs there; an end that should have been already is expected any moment. */
function nextExpectedEndMs(agent: StoredAgent, nowMs: EpochMs): EpochMs | null {
  let next: EpochMs | null = null;
  for (const { state, expectedEndAtMs } of agent.reservations.values()) {
    if (state === "released" || expectedEndAtMs === null) continue;
    next = next === null ? expectedEndAtMs : Math.min(next, expectedEndAtMs);
  }
  return next === null ? null : Math.max(nowMs, next);
}
