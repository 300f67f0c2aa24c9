import { msFromDuration, wire } from "@headroom/contracts";
import type { CallContext, ServerStreamHandler } from "@headroom/rpc";
import { sleep } from "@headroom/runtime";
import { capacityOf } from "../queries/capacity-of.ts";
import type { HandlerDeps } from "./deps.ts";

const DEFAULT_COALESCE_MS = 20;

/** The whole fleet first, then what changed, pulled by the reader. */
export function watchCapacity(
  deps: HandlerDeps,
): ServerStreamHandler<wire.WatchCapacityRequest, wire.WatchCapacityResponse> {
  return (request, context) => watch(deps, msFromDuration(request.coalesce) ?? DEFAULT_COALESCE_MS, context);
}

async function* watch(
  deps: HandlerDeps,
  coalesceMs: number,
  { signal }: CallContext,
): AsyncGenerator<wire.WatchCapacityResponse> {
  deps.requireReady();
  const watcher = deps.feed.watch();
  try {
    yield snapshot(deps);
    for (;;) {
      await watcher.changed(signal);
      if (coalesceMs > 0) await sleep(deps.timers, coalesceMs, signal);
      yield changes(deps, watcher.take());
    }
  } catch (error) {
    // The reader went away, or the server stops: an end, not a fault.
    if (!signal.aborted) throw error;
  } finally {
    watcher.close();
  }
}

function snapshot({ fleet, storeClock }: HandlerDeps): wire.WatchCapacityResponse {
  const nowMs = storeClock.now();
  return wire.WatchCapacityResponse.fromPartial({
    revision: fleet.revision,
    snapshot: true,
    agents: [...fleet.agents()].map((agent) => capacityOf(agent, nowMs)),
    roomAppeared: true,
  });
}

function changes(
  { fleet, storeClock }: HandlerDeps,
  changed: { readonly agentIds: ReadonlySet<string>; readonly roomAppeared: boolean },
): wire.WatchCapacityResponse {
  const nowMs = storeClock.now();
  const agents = [...changed.agentIds].flatMap((agentId) => fleet.get(agentId) ?? []);
  const removedAgentIds = [...changed.agentIds].filter((agentId) => fleet.get(agentId) === undefined);
  return wire.WatchCapacityResponse.fromPartial({
    revision: fleet.revision,
    snapshot: false,
    agents: agents.map((agent) => capacityOf(agent, nowMs)),
    removedAgentIds,
    roomAppeared: changed.roomAppeared,
  });
}
