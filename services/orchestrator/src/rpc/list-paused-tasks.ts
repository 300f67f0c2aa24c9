import { pauseReasonWire, wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { PAUSE_REASONS, type PauseReason } from "@headroom/scheduling";
import { pausedTaskToWire } from "../present/task-to-wire.ts";
import type { HandlerDeps } from "./deps.ts";
import { nextPageToken, readPage, withPage } from "./paging.ts";

const defaultPageSize = 100;

interface Filter {
  readonly planId: string | null;
  readonly reasons: readonly PauseReason[] | null;
}

/** The tasks that wait: those that are tried in that order, then the others. */
export function listPausedTasks({
  store,
  counter,
}: HandlerDeps): UnaryHandler<wire.ListPausedTasksRequest, wire.ListPausedTasksResponse> {
  /** Of one plan it is counted; of the whole queue it may be some seconds old, as in GetQueueStatus. */
  const totalOf = async ({ planId, reasons }: Filter): Promise<number> => {
    if (planId !== null) return store.countPaused(planId, reasons);
    const summary = await counter.summary();
    if (reasons === null) return summary.waiting;
    return summary.reasons.reduce((sum, { reason, tasks }) => sum + (reasons.includes(reason) ? tasks : 0), 0);
  };
  return async (request) => {
    const filter: Filter = {
      planId: request.planId === "" ? null : request.planId.toLowerCase(),
      reasons: request.reason === 0 ? null : reasonsOf(request.reason),
    };
    const page = readPage(request, defaultPageSize, filter);
    const [{ items, next }, total] = await Promise.all([
      withPage(() => store.listPaused(filter, page)),
      totalOf(filter),
    ]);
    return wire.ListPausedTasksResponse.fromPartial({
      tasks: items.map(pausedTaskToWire),
      nextPageToken: nextPageToken(next, filter),
      totalSize: total,
    });
  };
}

/** Several words inside may share one on the wire. */
function reasonsOf(reason: wire.PauseReason): readonly PauseReason[] {
  return PAUSE_REASONS.filter((word) => pauseReasonWire.toWire(word) === reason);
}
