import {
  type AgentCapacityFigures,
  agentCapacityFromWire,
  durationFromMs,
  durationFromMsOrNull,
  type FromWire,
  msFromDuration,
  needsToWire,
  releaseOutcomeWire,
  renewOutcomeWire,
  reservationKindWire,
  reserveResultFromWire,
  wire,
} from "@headroom/contracts";
import { type Channel, createClient, HeadroomError } from "@headroom/rpc";
import type { Timers } from "@headroom/runtime";
import type { FleetChange, FleetRevision, RegistryPort } from "./port.ts";
import { isUnfit } from "./refusal.ts";
import { SilenceWatch } from "./silence.ts";
import { UnfitWatch } from "./unfit.ts";

/** Reserving may write for many agents in one transaction; longer than this the claim on the tasks is nearly over. */
const reserveDeadlineMs = 8_000;

/** Explaining is a part of somebody else's call, of 10 s unless told otherwise: enough of those must be left to answer without it. */
const explainDeadlineMs = 3_000;

/** Of 1,000 agents each; more have room than this poll could fill. */
const maxPages = 20;

/** A request names no more: agents that are kept for other tasks come first, they are never so many. */
const maxAvoided = 256;

/** What `Reserve.expected_duration` takes, 365 days. */
const longestExpectedMs = 365 * 86_400_000;

/** How often a watched registry is to give a sign of life. After three in vain what it told last is believed no more. */
const signOfLifeMs = 2_000;

/** The registry over gRPC. */
export function createGrpcRegistry(channel: Channel, timers: Timers): RegistryPort {
  const client = createClient(wire.CapacityServiceService, channel);
  const unfit = new UnfitWatch(channel, timers);
  return {
    async reserve(requests, { dryRun = false } = {}) {
      const request = wire.ReserveCapacityRequest.fromPartial({
        dryRun,
        reservations: requests.map((asked) => ({
          attemptId: asked.attemptId,
          fence: asked.fence,
          needs: needsToWire(asked.needs),
          avoidAgentIds: [...asked.avoidAgentIds].slice(0, maxAvoided),
          kind: reservationKindWire.toWire(asked.kind),
          expectedDuration: durationFromMsOrNull(expectedMs(asked.expectedDurationMs)),
          taskId: asked.taskId,
          planId: asked.planId,
        })),
      });
      const { results, revision } = await unfit.heard(
        client.reserveCapacity(request, { deadlineMs: reserveDeadlineMs }),
      );
      if (results.length !== requests.length)
        throw badAnswer("results", `${results.length} for ${requests.length} requests`);
      return {
        outcomes: results.map((result) => understood(reserveResultFromWire(result))),
        revision: revisionFromWire(revision),
      };
    },

    async renew(attempts) {
      const request = wire.RenewReservationsRequest.fromPartial({ attempts: [...attempts] });
      const { results } = await unfit.heard(client.renewReservations(request));
      return results.map((result) => ({
        attemptId: result.attemptId,
        outcome: understood(renewOutcomeWire.fromWire(result.outcome, "outcome")),
        leaseLeftMs: msFromDuration(result.leaseLeft),
      }));
    },

    async release(attempts, reason) {
      const request = wire.ReleaseCapacityRequest.fromPartial({ attempts: [...attempts], reason });
      const { results } = await unfit.heard(client.releaseCapacity(request));
      return results.map((result) => understood(releaseOutcomeWire.fromWire(result.outcome, "outcome")));
    },

    async explain(needs, maxAgents) {
      const request = wire.ExplainCapacityRequest.fromPartial({ needs: needsToWire(needs), maxAgents });
      const { explanation, expectedAvailableIn, expectedAgentId } = await unfit.heard(
        client.explainCapacity(request, { deadlineMs: explainDeadlineMs }),
      );
      if (explanation === undefined) throw badAnswer("explanation", "is not given");
      const roomOnAgentId = expectedAgentId === "" ? null : expectedAgentId;
      return { explanation, roomInMs: msFromDuration(expectedAvailableIn), roomOnAgentId };
    },

    async withRoom() {
      const agents: AgentCapacityFigures[] = [];
      let pageToken = "";
      for (let page = 0; page < maxPages; page += 1) {
        const request = wire.ListAvailableCapacityRequest.fromPartial({ orderBy: "agent_id", pageToken });
        const answer = await unfit.heard(client.listAvailableCapacity(request));
        agents.push(...answer.agents.map((agent) => understood(agentCapacityFromWire(agent))));
        pageToken = answer.nextPageToken;
        if (pageToken === "") break;
      }
      return agents;
    },

    async *watch(signal) {
      const request = wire.WatchCapacityRequest.fromPartial({ heartbeat: durationFromMs(signOfLifeMs) });
      const silence = new SilenceWatch(timers, signOfLifeMs, signal);
      let begun: FleetChange | null = null;
      let leftFor: unknown = null;
      const unsubscribe = unfit.onLeft((error) => {
        leftFor = error;
        silence.abort(error);
      });
      try {
        for await (const message of client.watchCapacity(request, { signal: silence.signal })) {
          const isSign = isSignOfLife(message);
          silence.heard(isSign);
          if (isSign) continue;
          begun = begun === null ? changeFromWire(message) : joined(begun, changeFromWire(message));
          // A part of a large fleet is no fleet to judge by: it is told when it is whole.
          if (message.more) continue;
          yield begun;
          begun = null;
        }
      } catch (error) {
        if (leftFor !== null) throw leftFor;
        // Its connection would stay, and lead there again.
        if (isUnfit(error)) channel.reconnect();
        throw silence.isSilent ? silentError() : error;
      } finally {
        unsubscribe();
        silence.end();
      }
    },
  };
}

/** Only ever a help: a request is not refused, with all that are asked for beside it, for what cannot be. */
function expectedMs(ms: number | null): number | null {
  return ms !== null && ms >= 0 && ms <= longestExpectedMs ? ms : null;
}

/** It tells nothing, also no newer revision: whatever changes is told with what has changed. */
function isSignOfLife({ snapshot, agents, removedAgentIds, more }: wire.WatchCapacityResponse): boolean {
  return !snapshot && !more && agents.length === 0 && removedAgentIds.length === 0;
}

function silentError(): HeadroomError {
  return new HeadroomError({
    code: "UNAVAILABLE",
    reason: "REGISTRY_SILENT",
    message: "it gives no sign of life: it stands still, or the way to it is cut",
  });
}

/** Parts of one change that was too large for one message; the revision comes with the last. */
function joined(first: FleetChange, next: FleetChange): FleetChange {
  return {
    revision: next.revision,
    snapshot: first.snapshot || next.snapshot,
    agents: [...first.agents, ...next.agents],
    removedAgentIds: [...first.removedAgentIds, ...next.removedAgentIds],
    roomAppeared: first.roomAppeared || next.roomAppeared,
  };
}

function changeFromWire(message: wire.WatchCapacityResponse): FleetChange {
  return {
    revision: revisionFromWire(message.revision),
    snapshot: message.snapshot,
    agents: message.agents.map((agent) => understood(agentCapacityFromWire(agent))),
    removedAgentIds: message.removedAgentIds,
    roomAppeared: message.roomAppeared,
  };
}

function revisionFromWire(revision: wire.Revision | undefined): FleetRevision {
  return { instance: revision?.registryInstance ?? "", counter: revision?.counter ?? 0 };
}

function understood<T>(read: FromWire<T>): T {
  if (read.kind === "ok") return read.value;
  throw badAnswer(read.field, read.description);
}

/** A registry of another version: as good as none. */
function badAnswer(field: string, description: string): HeadroomError {
  return new HeadroomError({
    code: "UNAVAILABLE",
    reason: "REGISTRY_NOT_UNDERSTOOD",
    message: `the registry's answer is not understood (${field} ${description}): update orchestrator and registry to the same version`,
    retryAfterMs: 10_000,
  });
}
