import { pauseReasonWire, wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { PAUSE_REASONS, type PauseReason } from "@headroom/scheduling";
import { pausedTaskToWire } from "../present/task-to-wire.ts";
import type { HandlerDeps } from "./deps.ts";
import { nextPageToken, readPage, withPage } from "./paging.ts";

const defaultPageSize = 100;

/** The tasks that wait, in the order in which they will be tried. */
export function listPausedTasks({
  store,
}: HandlerDeps): UnaryHandler<wire.ListPausedTasksRequest, wire.ListPausedTasksResponse> {
  return async (request) => {
    const filter = {
      planId: request.planId === "" ? null : request.planId.toLowerCase(),
      reasons: request.reason === 0 ? null : reasonsOf(request.reason),
    };
    const page = readPage(request, defaultPageSize, filter);
    const { items, next, total } = await withPage(() => store.listPaused(filter, page));
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
