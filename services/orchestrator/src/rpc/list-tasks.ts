import { taskStateWire, wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { taskToWire } from "../present/task-to-wire.ts";
import type { HandlerDeps } from "./deps.ts";
import { nextPageToken, readPage, withPage } from "./paging.ts";
import { readEnums } from "./read-enums.ts";

const defaultPageSize = 100;

/** Tasks, the newest first, with their newest attempt. */
export function listTasks({ store }: HandlerDeps): UnaryHandler<wire.ListTasksRequest, wire.ListTasksResponse> {
  return async (request) => {
    const filter = {
      planId: request.planId === "" ? null : request.planId.toLowerCase(),
      states: readEnums(taskStateWire, request.states, "states"),
    };
    const page = readPage(request, defaultPageSize, filter);
    const { items, next } = await withPage(() => store.listTasks(filter, page));
    return wire.ListTasksResponse.fromPartial({
      tasks: items.map(taskToWire),
      nextPageToken: nextPageToken(next, filter),
    });
  };
}
