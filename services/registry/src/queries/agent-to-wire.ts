/** An agent as FleetService shows it. */
import { agentStatusWire, agentTypeWire, timestampFromMs, timestampFromMsOrNull, wire } from "@headroom/contracts";
import { flapsRemembered, type EpochMs } from "@headroom/scheduling";
import type { StoredAgent } from "../store/stored-agent.ts";
import { capacityOf } from "./capacity-of.ts";

/** `lastBeatAtMs`: as this process knows it, which may be newer than what is stored. */
export function agentToWire(agent: StoredAgent, lastBeatAtMs: EpochMs | null, nowMs: EpochMs): wire.Agent {
  return wire.Agent.fromPartial({
    agentId: agent.agentId,
    hostname: agent.hostname,
    agentType: agentTypeWire.toWire(agent.agentType),
    poolName: agent.poolName,
    status: agentStatusWire.toWire(agent.status),
    statusReason: agent.statusReason,
    statusSince: timestampFromMs(agent.statusSinceMs),
    lastBeatAt: timestampFromMsOrNull(lastBeatAtMs),
    firstSeenAt: timestampFromMs(agent.firstSeenAtMs),
    version: agent.version,
    platform: agent.platform,
    labels: { ...agent.labels },
    cordoned: agent.cordoned,
    cordonReason: agent.cordonReason,
    draining: agent.draining,
    recentFlaps: flapsRemembered(agent.flapping, nowMs),
    probationUntil: timestampFromMsOrNull(agent.flapping.probationUntilMs),
    capacity: capacityOf(agent, nowMs),
    attemptIds: [...agent.reservations.held()].map(({ attemptId }) => attemptId),
  });
}
