import { wire } from "@headroom/contracts";
import { callOptions, type ClientContext } from "./caller.ts";
import { attempt, type Result } from "./result.ts";
import type { CallSettings, NeedsInput } from "./types.ts";
import { watchStream, type WatchItem } from "./watch-stream.ts";

/** Where is room: the registry's capacity. Amounts are GiB and cores; "available" is what can still be promised. */
export interface CapacityClient {
  /** One agent. Unknown: `not_found`, reason AGENT_NOT_FOUND. */
  getAgent(agentId: string, settings?: CallSettings): Promise<Result<wire.GetAgentCapacityResponse>>;
  /** The online desktops that meet all constraints; no match is an empty list. Sorted by most free VRAM unless `orderBy` says otherwise. */
  listAvailable(
    constraints?: Partial<wire.ListAvailableCapacityRequest>,
    settings?: CallSettings,
  ): Promise<Result<wire.ListAvailableCapacityResponse>>;
  /** Capacity summed by pool. */
  listPools(
    constraints?: Partial<wire.ListPoolCapacityRequest>,
    settings?: CallSettings,
  ): Promise<Result<wire.ListPoolCapacityResponse>>;
  /** Why needs fit or do not fit, agent by agent. Promises nothing. */
  explain(
    needs: NeedsInput,
    settings?: CallSettings & { readonly maxAgents?: number },
  ): Promise<Result<wire.ExplainCapacityResponse>>;
  /** The whole fleet first, then what changes; after an interruption the whole fleet again (`snapshot` says so). */
  watch(settings?: { readonly signal?: AbortSignal }): AsyncIterable<WatchItem<wire.WatchCapacityResponse>>;
}

export function createCapacityClient(context: ClientContext): CapacityClient {
  const service = () => context.channels.client("registry", wire.CapacityServiceService);
  return {
    getAgent: (agentId, settings = {}) =>
      attempt(async () => (await service()).getAgentCapacity({ agentId }, callOptions(context, settings))),
    listAvailable: (constraints = {}, settings = {}) =>
      attempt(async () =>
        (await service()).listAvailableCapacity(
          wire.ListAvailableCapacityRequest.fromPartial(constraints),
          callOptions(context, settings),
        ),
      ),
    listPools: (constraints = {}, settings = {}) =>
      attempt(async () =>
        (await service()).listPoolCapacity(
          wire.ListPoolCapacityRequest.fromPartial(constraints),
          callOptions(context, settings),
        ),
      ),
    explain: (needs, settings = {}) =>
      attempt(async () =>
        (await service()).explainCapacity(
          { needs: wire.ResourceNeeds.fromPartial(needs), maxAgents: settings.maxAgents ?? 0 },
          callOptions(context, settings),
        ),
      ),
    watch: (settings = {}) =>
      watchStream<wire.WatchCapacityResponse>({
        context,
        signal: settings.signal,
        open: async (options) =>
          (await service()).watchCapacity({ coalesce: undefined, heartbeat: undefined }, options),
        // The fleet never ends: a stream that does was ended by a service that stops.
        isLast: () => false,
      }),
  };
}
