import { wire } from "@headroom/contracts";
import { callOptions, type ClientContext } from "./caller.ts";
import type { HoldInput, ReleaseInput } from "./plans.ts";
import { attempt, type Result } from "./result.ts";
import type { CallSettings, NeedsInput } from "./types.ts";

/** What waits, and the gate that holds it. */
export interface QueueClient {
  /** How much waits, why, and since when. */
  status(settings?: CallSettings): Promise<Result<wire.GetQueueStatusResponse>>;
  /**
   * The tasks that wait: first those that may start, in the order in which they are tried; then those that wait for another task of
   * their plan, or whose plan an operator holds.
   */
  listPaused(
    filter?: Partial<wire.ListPausedTasksRequest>,
    settings?: CallSettings,
  ): Promise<Result<wire.ListPausedTasksResponse>>;
  /** Looks for room now, as the loop does; of one plan, or of all. */
  resume(planId?: string, settings?: CallSettings): Promise<Result<wire.ResumePausedWorkResponse>>;
  /** Keeps everything that waits, and what comes, from starting, until `release`; what runs goes on. */
  hold(why?: HoldInput, settings?: CallSettings): Promise<Result<wire.HoldQueueResponse>>;
  /** Ends a hold; without one nothing changes. */
  release(why?: ReleaseInput, settings?: CallSettings): Promise<Result<wire.ReleaseQueueResponse>>;
  /** The holds and releases, the newest first. */
  events(
    filter?: Partial<wire.ListQueueEventsRequest>,
    settings?: CallSettings,
  ): Promise<Result<wire.ListQueueEventsResponse>>;
  /** Whether work would be paused now, with the figures that decide it; with needs, only what they use is judged. */
  check(needs?: NeedsInput, settings?: CallSettings): Promise<Result<wire.CheckCapacityResponse>>;
}

export function createQueueClient(context: ClientContext): QueueClient {
  const service = () => context.channels.client("orchestrator", wire.PauseQueueServiceService);
  return {
    status: (settings = {}) =>
      attempt(async () => (await service()).getQueueStatus({}, callOptions(context, settings))),
    listPaused: (filter = {}, settings = {}) =>
      attempt(async () =>
        (await service()).listPausedTasks(
          wire.ListPausedTasksRequest.fromPartial(filter),
          callOptions(context, settings),
        ),
      ),
    resume: (planId = "", settings = {}) =>
      attempt(async () => (await service()).resumePausedWork({ planId }, callOptions(context, settings))),
    hold: (why = {}, settings = {}) =>
      attempt(async () =>
        (await service()).holdQueue(wire.HoldQueueRequest.fromPartial(why), callOptions(context, settings)),
      ),
    release: (why = {}, settings = {}) =>
      attempt(async () =>
        (await service()).releaseQueue(wire.ReleaseQueueRequest.fromPartial(why), callOptions(context, settings)),
      ),
    events: (filter = {}, settings = {}) =>
      attempt(async () =>
        (await service()).listQueueEvents(
          wire.ListQueueEventsRequest.fromPartial(filter),
          callOptions(context, settings),
        ),
      ),
    check: (needs, settings = {}) =>
      attempt(async () =>
        (await service()).checkCapacity(
          { needs: needs === undefined ? undefined : wire.ResourceNeeds.fromPartial(needs) },
          callOptions(context, settings),
        ),
      ),
  };
}
