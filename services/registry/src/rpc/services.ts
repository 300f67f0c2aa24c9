/** The three services of the registry, each RPC with its handler. */
import { wire } from "@headroom/contracts";
import { bindService, type BoundService } from "@headroom/rpc";
import { heartbeatHandler } from "../heartbeat/heartbeat.ts";
import type { SessionServices } from "../heartbeat/session.ts";
import { listAvailableCapacityMethod, watchCapacityMethod } from "../queries/encoded-answers.ts";
import { confirmLosses } from "./confirm-losses.ts";
import { cordonAgent } from "./cordon-agent.ts";
import { createJoinToken } from "./create-join-token.ts";
import type { HandlerDeps } from "./deps.ts";
import { drainAgent } from "./drain-agent.ts";
import { enrollAgent } from "./enroll-agent.ts";
import { explainCapacity } from "./explain-capacity.ts";
import { getAgent } from "./get-agent.ts";
import { getAgentCapacity } from "./get-agent-capacity.ts";
import { inspectPlacement } from "./inspect-placement.ts";
import { listAgents } from "./list-agents.ts";
import { listAvailableCapacity } from "./list-available-capacity.ts";
import { listJoinTokens } from "./list-join-tokens.ts";
import { listPoolCapacity } from "./list-pool-capacity.ts";
import { releaseCapacity } from "./release-capacity.ts";
import { removeAgent } from "./remove-agent.ts";
import { renewReservations } from "./renew-reservations.ts";
import { reserveCapacity } from "./reserve-capacity.ts";
import { revokeJoinToken } from "./revoke-join-token.ts";
import { uncordonAgent } from "./uncordon-agent.ts";
import { watchCapacity } from "./watch-capacity.ts";

const capacityService = {
  ...wire.CapacityServiceService,
  listAvailableCapacity: listAvailableCapacityMethod,
  watchCapacity: watchCapacityMethod,
};

export function registryServices(deps: HandlerDeps, sessions: SessionServices): readonly BoundService[] {
  return [
    bindService(wire.AgentServiceService, {
      enrollAgent: enrollAgent(deps),
      heartbeat: heartbeatHandler(sessions),
    }),
    bindService(capacityService, {
      getAgentCapacity: getAgentCapacity(deps),
      listAvailableCapacity: listAvailableCapacity(deps),
      listPoolCapacity: listPoolCapacity(deps),
      watchCapacity: watchCapacity(deps),
      reserveCapacity: reserveCapacity(deps),
      renewReservations: renewReservations(deps),
      releaseCapacity: releaseCapacity(deps),
      explainCapacity: explainCapacity(deps),
    }),
    bindService(wire.FleetServiceService, {
      listAgents: listAgents(deps),
      getAgent: getAgent(deps),
      cordonAgent: cordonAgent(deps),
      uncordonAgent: uncordonAgent(deps),
      drainAgent: drainAgent(deps),
      inspectPlacement: inspectPlacement(deps),
      confirmLosses: confirmLosses(deps),
      removeAgent: removeAgent(deps),
      createJoinToken: createJoinToken(deps),
      listJoinTokens: listJoinTokens(deps),
      revokeJoinToken: revokeJoinToken(deps),
    }),
  ];
}
