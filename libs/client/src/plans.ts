import { wire } from "@headroom/contracts";
import { sleep } from "@headroom/runtime";
import { callOptions, type ClientContext } from "./caller.ts";
import { attempt, present, type Result } from "./result.ts";
import type { CallSettings, PlanInput } from "./types.ts";
import { watchStream, type WatchItem } from "./watch-stream.ts";

/** Work: plans of tasks. */
export interface PlansClient {
  /**
   * Hands a plan over. `ok` means that it is kept durably and will run, now or when there is room: `status` says which, and a
   * plan that must wait is no error. A plan is accepted once for each request id. The client makes one for each call, when none
   * is given, and repeats the call with it by itself when the service is away for a moment. If you repeat it, pass `requestId`:
   * the one that you gave, or that of the error. Without it that is another plan, and all its work runs again.
   */
  dispatch(plan: PlanInput, settings?: DispatchSettings): Promise<Result<wire.DispatchPlanResponse>>;
  /** A plan with its tasks. Unknown: `not_found`, reason PLAN_NOT_FOUND. */
  get(planId: string, settings?: CallSettings): Promise<Result<wire.Plan>>;
  /** Plans without their tasks, the newest first. */
  list(filter?: Partial<wire.ListPlansRequest>, settings?: CallSettings): Promise<Result<wire.ListPlansResponse>>;
  /** Cancels what has not ended of a plan. */
  cancel(planId: string, reason?: string, settings?: CallSettings): Promise<Result<wire.Plan>>;
  /** Keeps its waiting tasks from starting, until `release`; what runs goes on. Ended: `precondition`, reason PLAN_ALREADY_FINISHED. */
  hold(planId: string, why?: HoldInput, settings?: CallSettings): Promise<Result<wire.HoldPlanResponse>>;
  /** Ends a hold; without one nothing changes. */
  release(planId: string, why?: ReleaseInput, settings?: CallSettings): Promise<Result<wire.ReleasePlanResponse>>;
  /** Runs what failed again, and what was cancelled because of it: once for each request id. If you repeat it, pass `requestId`, as for `dispatch`. */
  retry(planId: string, settings?: RetrySettings): Promise<Result<wire.RetryPlanResponse>>;
  /** What would run where, what would wait and why. Nothing is kept and nothing promised. */
  preview(plan: PlanInput, settings?: CallSettings): Promise<Result<wire.PreviewPlanResponse>>;
  /** The history, the oldest first. */
  events(
    planId: string,
    filter?: Partial<Omit<wire.ListPlanEventsRequest, "planId">>,
    settings?: CallSettings,
  ): Promise<Result<wire.ListPlanEventsResponse>>;
  /**
   * The events of a plan from the first (or after `afterEventId`) until all its tasks have ended, each exactly once and in order:
   * after an interruption the watch goes on behind the last event seen.
   */
  watch(
    planId: string,
    settings?: { readonly afterEventId?: number; readonly signal?: AbortSignal },
  ): AsyncIterable<WatchItem<wire.WatchPlanResponse>>;
}

/** Why and by whom, for people. */
export interface HoldInput {
  readonly reason?: string;
  readonly heldBy?: string;
}

export interface ReleaseInput {
  readonly reason?: string;
  readonly releasedBy?: string;
}

export interface RetrySettings extends CallSettings {
  /** UUID. Asked again with the same id, what failed runs again once. */
  readonly requestId?: string;
  readonly reason?: string;
}

export interface DispatchSettings extends CallSettings {
  /** UUID. The same id with the same plan gives the same plan again; with another plan it is a `conflict`. */
  readonly requestId?: string;
  /** Refuse the plan when a task can never fit on any agent known. */
  readonly failUnsatisfiable?: boolean;
}

interface Repeated {
  readonly requestId: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** A large plan takes the orchestrator longer than a read. */
const leastDispatchTimeoutMs = 30_000;
const retryDelaysMs = [200, 800] as const;

export function createPlansClient(context: ClientContext): PlansClient {
  const service = () => context.channels.client("orchestrator", wire.PlanServiceService);

  async function dispatch(plan: PlanInput, settings: DispatchSettings = {}) {
    const { signal, requestId = context.ports.random.uuid() } = settings;
    const request = wire.DispatchPlanRequest.create({
      requestId,
      plan: wire.WorkPlan.fromPartial(plan),
      failUnsatisfiable: settings.failUnsatisfiable ?? false,
    });
    const timeoutMs = settings.timeoutMs ?? Math.max(context.timeoutMs, leastDispatchTimeoutMs);
    return repeatedly({ requestId, timeoutMs, signal }, (leftMs) =>
      attempt(async () =>
        (await service()).dispatchPlan(request, callOptions(context, { ...settings, timeoutMs: leftMs })),
      ),
    );
  }

  /** For calls that a request id makes safe to repeat. All tries together take `timeoutMs` at most; each is told what is left of it. */
  async function repeatedly<T>(
    { requestId, timeoutMs, signal }: Repeated,
    once: (leftMs: number) => Promise<Result<T>>,
  ): Promise<Result<T>> {
    const { clock, timers } = context.ports;
    const endMs = clock.monotonic() + timeoutMs;
    let outcome = await once(timeoutMs);
    for (const delayMs of retryDelaysMs) {
      if (outcome.kind === "ok" || outcome.error.kind !== "unavailable" || signal?.aborted === true) break;
      if (clock.monotonic() + delayMs >= endMs) break;
      await sleep(timers, delayMs, signal).catch(() => undefined);
      outcome = await once(Math.max(1, Math.ceil(endMs - clock.monotonic())));
    }
    return outcome.kind === "ok" ? outcome : { kind: "error", error: { ...outcome.error, requestId } };
  }

  return {
    dispatch,
    get: (planId, settings = {}) =>
      attempt(async () => {
        const answer = await (await service()).getPlan({ planId }, callOptions(context, settings));
        return present(answer.plan, "the plan");
      }),
    list: (filter = {}, settings = {}) =>
      attempt(async () =>
        (await service()).listPlans(wire.ListPlansRequest.fromPartial(filter), callOptions(context, settings)),
      ),
    cancel: (planId, reason = "", settings = {}) =>
      attempt(async () => {
        const answer = await (await service()).cancelPlan({ planId, reason }, callOptions(context, settings));
        return present(answer.plan, "the plan");
      }),
    hold: (planId, why = {}, settings = {}) =>
      attempt(async () =>
        (await service()).holdPlan(
          wire.HoldPlanRequest.fromPartial({ ...why, planId }),
          callOptions(context, settings),
        ),
      ),
    release: (planId, why = {}, settings = {}) =>
      attempt(async () =>
        (await service()).releasePlan(
          wire.ReleasePlanRequest.fromPartial({ ...why, planId }),
          callOptions(context, settings),
        ),
      ),
    retry(planId, settings = {}) {
      const { signal, timeoutMs = context.timeoutMs, requestId = context.ports.random.uuid() } = settings;
      const request = wire.RetryPlanRequest.fromPartial({ planId, requestId, reason: settings.reason ?? "" });
      return repeatedly({ requestId, timeoutMs, signal }, (leftMs) =>
        attempt(async () =>
          (await service()).retryPlan(request, callOptions(context, { ...settings, timeoutMs: leftMs })),
        ),
      );
    },
    preview(plan, settings = {}) {
      const timeoutMs = settings.timeoutMs ?? Math.max(context.timeoutMs, leastDispatchTimeoutMs);
      return attempt(async () =>
        (await service()).previewPlan(
          { plan: wire.WorkPlan.fromPartial(plan) },
          callOptions(context, { ...settings, timeoutMs }),
        ),
      );
    },
    events: (planId, filter = {}, settings = {}) =>
      attempt(async () =>
        (await service()).listPlanEvents(
          wire.ListPlanEventsRequest.fromPartial({ ...filter, planId }),
          callOptions(context, settings),
        ),
      ),
    watch(planId, settings = {}) {
      let lastEventId = settings.afterEventId ?? 0;
      return watchStream<wire.WatchPlanResponse>({
        context,
        signal: settings.signal,
        open: async (options) => (await service()).watchPlan({ planId, afterEventId: lastEventId }, options),
        accept(item) {
          const eventId = item.event?.eventId ?? 0;
          if (eventId !== 0 && eventId <= lastEventId) return null;
          lastEventId = Math.max(lastEventId, eventId);
          return item;
        },
        // The plan stands beside each event as of sending, so any event of a finished plan may be the last.
        isLast: (item) => item.plan !== undefined && isPlanFinished(item.plan.status),
        async confirmEnd() {
          const answer = await (await service()).getPlan({ planId }, callOptions(context, {}));
          return answer.plan !== undefined && isPlanFinished(answer.plan.status);
        },
      });
    },
  };
}

const finished: ReadonlySet<wire.PlanStatus> = new Set<wire.PlanStatus>([
  wire.PlanStatus.PLAN_STATUS_SUCCEEDED,
  wire.PlanStatus.PLAN_STATUS_FAILED,
  wire.PlanStatus.PLAN_STATUS_CANCELLED,
]);

/** All tasks have ended. */
export function isPlanFinished(status: wire.PlanStatus): boolean {
  return finished.has(status);
}
