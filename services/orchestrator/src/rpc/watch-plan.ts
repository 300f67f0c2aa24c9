import { wire } from "@headroom/contracts";
import { HeadroomError, type ServerStreamHandler } from "@headroom/rpc";
import { planSummary } from "@headroom/scheduling";
import { eventToWire } from "../present/event-to-wire.ts";
import { planToWire } from "../present/plan-to-wire.ts";
import type { HandlerDeps } from "./deps.ts";
import { planNotFound } from "./not-found.ts";

const batch = 200;
/** News come by the hub; this is for those that it missed. */
const pollMs = 2_000;

/** The events of a plan from any point, until all its tasks have ended. */
export function watchPlan({
  store,
  hub,
}: HandlerDeps): ServerStreamHandler<wire.WatchPlanRequest, wire.WatchPlanResponse> {
  return async function* (request, { signal }) {
    const planId = request.planId.toLowerCase();
    let after = request.afterEventId;
    const watch = hub.watch(planId);
    try {
      while (!signal.aborted) {
        // The plan first: what was its last event when it had ended is then among those read.
        const plan = await store.getPlan(planId);
        if (plan === null) throw planNotFound(planId);
        const read = await store.eventsAfter(planId, after, batch);
        if (read === null) throw planNotFound(planId);
        const { events, trimmedThrough } = read;
        // From the beginning means from what is kept; from a point that somebody has seen, nothing may be left out.
        if (after !== 0 && after < trimmedThrough) throw eventsTrimmed(trimmedThrough);
        after = Math.max(after, trimmedThrough);
        const shown = planToWire(plan);
        for (const event of events) {
          yield wire.WatchPlanResponse.fromPartial({ event: eventToWire(event), plan: shown });
          after = event.eventId;
        }
        if (events.length === batch) continue;
        if (hasEnded(plan)) return;
        await watch.wait(pollMs, signal);
      }
    } finally {
      watch.close();
    }
  };
}

function eventsTrimmed(through: number): HeadroomError {
  return new HeadroomError({
    code: "OUT_OF_RANGE",
    reason: "EVENTS_TRIMMED",
    message: `events behind that point were deleted, for their age: read the plan's state with GetPlan and watch on with after_event_id ${through}`,
    fieldViolations: [{ field: "after_event_id", description: `must be 0, or at least ${through}` }],
    metadata: { first_after_event_id: String(through) },
  });
}

function hasEnded(plan: Parameters<typeof planToWire>[0]): boolean {
  const { status } = planSummary(plan.counts);
  return plan.finishedAtMs !== null && (status === "succeeded" || status === "failed" || status === "cancelled");
}
