import { msFromDuration, type wire } from "@headroom/contracts";
import type { CallContext, ServerStreamHandler } from "@headroom/rpc";
import type { WatchAnswer } from "../queries/encoded-answers.ts";
import { changedWithin, holdBack } from "../watch/hold-back.ts";
import { watchMessages, type WatchPart } from "../watch/watch-messages.ts";
import type { HandlerDeps } from "./deps.ts";

const DEFAULT_COALESCE_MS = 20;

interface Rhythm {
  readonly coalesceMs: number;
  /** Null: silence says nothing. */
  readonly heartbeatMs: number | null;
}

/** The whole fleet first, then what changed, pulled by the reader. */
export function watchCapacity(deps: HandlerDeps): ServerStreamHandler<wire.WatchCapacityRequest, WatchAnswer> {
  return ({ coalesce, heartbeat }, context) => {
    const coalesceMs = msFromDuration(coalesce) ?? DEFAULT_COALESCE_MS;
    return watch(deps, { coalesceMs, heartbeatMs: msFromDuration(heartbeat) }, context);
  };
}

async function* watch(
  deps: HandlerDeps,
  { coalesceMs, heartbeatMs }: Rhythm,
  { signal, caller }: CallContext,
): AsyncGenerator<WatchAnswer> {
  deps.requireReady();
  const { fleet, storeClock, clock, timers } = deps;
  const watcher = deps.feed.watch(caller);
  const messages = (part: WatchPart): Generator<WatchAnswer> => watchMessages(fleet, part, () => storeClock.now());
  try {
    let told = fleet.revision;
    const everyId = Array.from(fleet.agents(), ({ agentId }) => agentId);
    yield* messages({ snapshot: true, roomAppeared: true, agentIds: everyId, from: null, to: told });
    let roomToldAtMs = Number.NEGATIVE_INFINITY;
    for (;;) {
      if (!(await changedWithin(watcher, timers, heartbeatMs, signal))) {
        yield* messages({ snapshot: false, roomAppeared: false, agentIds: [], from: told, to: told });
        continue;
      }
      if (coalesceMs > 0) await holdBack(watcher, { clock, timers, coalesceMs }, roomToldAtMs, signal);
      const { agentIds, roomAppeared } = watcher.take();
      if (roomAppeared) roomToldAtMs = clock.monotonic();
      const to = fleet.revision;
      yield* messages({ snapshot: false, roomAppeared, agentIds, from: told, to });
      told = to;
    }
  } catch (error) {
    // The reader went away, or the server stops: an end, not a fault.
    if (!signal.aborted) throw error;
  } finally {
    watcher.close();
  }
}
