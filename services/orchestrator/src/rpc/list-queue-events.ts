import { timestampFromMs, wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import type { HandlerDeps } from "./deps.ts";
import { nextPageToken, readPage, withPage } from "./paging.ts";

const defaultPageSize = 50;

/** The holds and releases of the queue, the newest first. */
export function listQueueEvents({
  store,
}: HandlerDeps): UnaryHandler<wire.ListQueueEventsRequest, wire.ListQueueEventsResponse> {
  return async (request) => {
    const question = "queue events";
    const page = readPage(request, defaultPageSize, question);
    const { items, next } = await withPage(() => store.listQueueEvents(page));
    return wire.ListQueueEventsResponse.fromPartial({
      events: items.map(({ atMs, ...event }) => ({ ...event, at: timestampFromMs(atMs) })),
      nextPageToken: nextPageToken(next, question),
    });
  };
}
