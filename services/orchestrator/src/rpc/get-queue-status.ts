import { durationFromMs, pauseReasonWire, timestampFromMs, timestampFromMsOrNull, wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { holdToWire } from "../present/hold-to-wire.ts";
import type { HandlerDeps } from "./deps.ts";

/** How much waits, why, and since when. */
export function getQueueStatus(
  deps: HandlerDeps,
): UnaryHandler<wire.GetQueueStatusRequest, wire.GetQueueStatusResponse> {
  return async () => {
    const summary = await deps.counter.summary();
    const byReason = new Map<wire.PauseReason, number>();
    for (const { reason, tasks } of summary.reasons) {
      const told = pauseReasonWire.toWire(reason);
      byReason.set(told, (byReason.get(told) ?? 0) + tasks);
    }
    return wire.GetQueueStatusResponse.fromPartial({
      waitingTasks: summary.waiting,
      reasons: [...byReason].map(([reason, tasks]) => ({ reason, tasks })),
      oldestPausedAt: timestampFromMsOrNull(summary.oldestPausedAtMs),
      lastPassAt: timestampFromMsOrNull(deps.loop.lastPassAtMs()),
      pollingInterval: durationFromMs(deps.pollingIntervalMs),
      threshold: deps.gate.threshold,
      registryConnected: deps.fleet.snapshot().kind === "up",
      runningAttempts: summary.runningAttempts,
      hold: holdToWire(deps.queueHold.current()),
      countedAt: timestampFromMs(summary.countedAtMs),
    });
  };
}
