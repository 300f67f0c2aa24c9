import { wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { eventToWire } from "../present/event-to-wire.ts";
import type { HandlerDeps } from "./deps.ts";
import { planNotFound } from "./not-found.ts";
import { nextPageToken, readCountingPage } from "./paging.ts";

const defaultPageSize = 100;

/** The history of a plan, the oldest first. */
export function listPlanEvents({
  store,
}: HandlerDeps): UnaryHandler<wire.ListPlanEventsRequest, wire.ListPlanEventsResponse> {
  return async (request) => {
    const planId = request.planId.toLowerCase();
    const taskId = request.taskId === "" ? null : request.taskId.toLowerCase();
    const question = { planId, taskId };
    const { limit, after } = readCountingPage(request, defaultPageSize, question);
    const read = await store.eventsAfter(planId, after, limit + 1, taskId);
    if (read === null) throw planNotFound(planId);
    const { events, trimmedThrough } = read;
    const page = events.slice(0, limit);
    const last = page.at(-1);
    const next = events.length > limit && last !== undefined ? String(last.eventId) : null;
    return wire.ListPlanEventsResponse.fromPartial({
      events: page.map(eventToWire),
      nextPageToken: nextPageToken(next, question),
      trimmedThroughEventId: trimmedThrough,
    });
  };
}
