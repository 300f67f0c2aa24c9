/** An agent's capacity as every answer shows it: single, fleet and watch alike (R-CAP-7). */
import { agentCapacityToWire, wire } from "@headroom/contracts";
import type { EpochMs } from "@headroom/scheduling";
import { viewOf } from "../fleet/agent-views.ts";
import type { StoredAgent } from "../store/stored-agent.ts";

export function capacityOf(agent: StoredAgent, nowMs: EpochMs): wire.AgentCapacity {
  return agentCapacityToWire(viewOf(agent), {
    hostname: agent.hostname,
    expectedAvailableAtMs: nextExpectedEndMs(agent, nowMs),
    drainDeadlineMs: agent.drainDeadlineMs,
    evictAttemptIds: overdueAttemptIds(agent, nowMs),
  });
}

/** What still has room on an agent whose drain's deadline has passed. */
export function overdueAttemptIds({ draining, drainDeadlineMs, reservations }: StoredAgent, nowMs: EpochMs): string[] {
  if (!draining || drainDeadlineMs === null || nowMs < drainDeadlineMs) return [];
  return [...reservations.held()].map(({ attemptId }) => attemptId);
}

/** Until when the capacity of this record stays the same though time passes; `nowMs`: it changes all the time. */
export function steadyUntilMs(agent: StoredAgent, nowMs: EpochMs): EpochMs {
  const { drainDeadlineMs } = agent;
  const endMs = firstExpectedEndMs(agent) ?? Number.POSITIVE_INFINITY;
  const isDrainAhead = agent.draining && drainDeadlineMs !== null && nowMs < drainDeadlineMs;
  return Math.max(nowMs, isDrainAhead ? Math.min(endMs, drainDeadlineMs) : endMs);
}

/** The next expected end of what runs there; an end that should have been already is expected any moment. */
function nextExpectedEndMs(agent: StoredAgent, nowMs: EpochMs): EpochMs | null {
  const next = firstExpectedEndMs(agent);
  return next === null ? null : Math.max(nowMs, next);
}

export function firstExpectedEndMs(agent: StoredAgent): EpochMs | null {
  let next: EpochMs | null = null;
  for (const { expectedEndAtMs } of agent.reservations.held()) {
    if (expectedEndAtMs === null) continue;
    next = next === null ? expectedEndAtMs : Math.min(next, expectedEndAtMs);
  }
  return next;
}
