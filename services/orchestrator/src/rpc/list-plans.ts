import { planStatusWire, wire } from "@headroom/contracts";
import type { UnaryHandler } from "@headroom/rpc";
import { planToWire } from "../present/plan-to-wire.ts";
import type { HandlerDeps } from "./deps.ts";
import { readEnums } from "./read-enums.ts";
import { nextPageToken, readPage, withPage } from "./paging.ts";

const defaultPageSize = 50;

/** Plans, the newest first. */
export function listPlans({ store }: HandlerDeps): UnaryHandler<wire.ListPlansRequest, wire.ListPlansResponse> {
  return async (request) => {
    const filter = { statuses: readEnums(planStatusWire, request.statuses, "statuses"), name: request.name };
    const page = readPage(request, defaultPageSize, filter);
    const { items, next } = await withPage(() => store.listPlans(filter, page));
    return wire.ListPlansResponse.fromPartial({
      plans: items.map((plan) => planToWire(plan)),
      nextPageToken: nextPageToken(next, filter),
    });
  };
}
