import { durationFromMs, wire } from "@headroom/contracts";
import { callOptions, type ClientContext } from "./caller.ts";
import { attempt, present, type Result } from "./result.ts";
import type { CallSettings } from "./types.ts";

/** The agents, whatever their state; for those who operate the fleet. */
export interface FleetClient {
  list(filter?: Partial<wire.ListAgentsRequest>, settings?: CallSettings): Promise<Result<wire.ListAgentsResponse>>;
  get(agentId: string, settings?: CallSettings): Promise<Result<wire.Agent>>;
  /** Keeps new work away; what runs there goes on. */
  cordon(agentId: string, reason?: string, settings?: CallSettings): Promise<Result<wire.Agent>>;
  uncordon(agentId: string, settings?: CallSettings): Promise<Result<wire.Agent>>;
  /** Keeps new work away and lets what runs there end; with a deadline, what outlasts it is stopped by its orchestrator. */
  drain(
    agentId: string,
    options?: { readonly deadlineMs?: number; readonly reason?: string },
    settings?: CallSettings,
  ): Promise<Result<wire.Agent>>;
  /** Which placement policy decides, and what it has learned of the tasks that come. */
  inspectPlacement(
    limits?: { readonly maxShapes?: number; readonly maxHoles?: number },
    settings?: CallSettings,
  ): Promise<Result<wire.InspectPlacementResponse>>;
  /** The agents that the mass-loss brake keeps SUSPECT are really gone. Answers how many the process asked has held; others give up theirs within a second. */
  confirmLosses(settings?: CallSettings): Promise<Result<wire.ConfirmLossesResponse>>;
  /** A token with which agents on other machines join. It can be read in this answer only. */
  createJoinToken(
    options?: {
      readonly poolName?: string;
      readonly agentType?: wire.AgentType;
      /** Default 1 h. */
      readonly ttlMs?: number;
      /** Default 1. */
      readonly maxUses?: number;
    },
    settings?: CallSettings,
  ): Promise<Result<wire.CreateJoinTokenResponse>>;
  listJoinTokens(
    pageSize?: number,
    settings?: CallSettings & { readonly pageToken?: string },
  ): Promise<Result<wire.ListJoinTokensResponse>>;
  /** Nobody joins with it any more; who has stays. */
  revokeJoinToken(tokenId: string, settings?: CallSettings): Promise<Result<void>>;
  /** Forgets an agent that is OFFLINE, with its credential; else `precondition`, reason AGENT_NOT_OFFLINE. */
  remove(agentId: string, settings?: CallSettings): Promise<Result<void>>;
}

export function createFleetClient(context: ClientContext): FleetClient {
  const service = () => context.channels.client("registry", wire.FleetServiceService);
  return {
    list: (filter = {}, settings = {}) =>
      attempt(async () =>
        (await service()).listAgents(wire.ListAgentsRequest.fromPartial(filter), callOptions(context, settings)),
      ),
    get: (agentId, settings = {}) =>
      attempt(async () => {
        const answer = await (await service()).getAgent({ agentId }, callOptions(context, settings));
        return present(answer.agent, "the agent");
      }),
    cordon: (agentId, reason = "", settings = {}) =>
      attempt(async () => {
        const answer = await (await service()).cordonAgent({ agentId, reason }, callOptions(context, settings));
        return present(answer.agent, "the agent");
      }),
    uncordon: (agentId, settings = {}) =>
      attempt(async () => {
        const answer = await (await service()).uncordonAgent({ agentId }, callOptions(context, settings));
        return present(answer.agent, "the agent");
      }),
    drain: (agentId, { deadlineMs, reason = "" } = {}, settings = {}) =>
      attempt(async () => {
        const deadline = deadlineMs === undefined ? undefined : durationFromMs(deadlineMs);
        const answer = await (
          await service()
        ).drainAgent({ agentId, deadline, reason }, callOptions(context, settings));
        return present(answer.agent, "the agent");
      }),
    inspectPlacement: ({ maxShapes = 0, maxHoles = 0 } = {}, settings = {}) =>
      attempt(async () => (await service()).inspectPlacement({ maxShapes, maxHoles }, callOptions(context, settings))),
    confirmLosses: (settings = {}) =>
      attempt(async () => (await service()).confirmLosses({}, callOptions(context, settings))),
    createJoinToken: ({ ttlMs, ...rest } = {}, settings = {}) =>
      attempt(async () => {
        const request = wire.CreateJoinTokenRequest.fromPartial({
          ...rest,
          requestId: context.ports.random.uuid(),
          ...(ttlMs !== undefined && { ttl: durationFromMs(ttlMs) }),
        });
        return (await service()).createJoinToken(request, callOptions(context, settings));
      }),
    listJoinTokens: (pageSize = 0, settings = {}) =>
      attempt(async () =>
        (await service()).listJoinTokens(
          { pageSize, pageToken: settings.pageToken ?? "" },
          callOptions(context, settings),
        ),
      ),
    revokeJoinToken: (tokenId, settings = {}) =>
      attempt(async () => {
        await (await service()).revokeJoinToken({ tokenId }, callOptions(context, settings));
      }),
    remove: (agentId, settings = {}) =>
      attempt(async () => {
        await (await service()).removeAgent({ agentId }, callOptions(context, settings));
      }),
  };
}
