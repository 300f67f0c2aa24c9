import { wire } from "@headroom/contracts";
import { callOptions, type ClientContext } from "./caller.ts";
import { attempt, type Result } from "./result.ts";
import type { CallSettings, NeedsInput } from "./types.ts";

/** What waits, and the gate that holds it. */
export interface QueueClient {
  /** How much waits, why, and since when. */
  status(settings?: CallSettings): Promise<Result<wire.GetQueueStatusResponse>>;
  /**
   * The tasks that wait, by priority and then by age: the order in which they are tried. Those that wait for another task of their plan
   * or for an operator stand among them, and are passed over.
   */
  listPaused(
    filter?: Partial<wire.ListPausedTasksRequest>,
    settings?: CallSettings,
  ): Promise<Result<wire.ListPausedTasksResponse>>;
  /** Looks for room now, as the loop does; of one plan, or of all. */
  resume(planId?: string, settings?: CallSettings): Promise<Result<wire.ResumePausedWorkResponse>>;
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
    check: (needs, settings = {}) =>
      attempt(async () =>
        (await service()).checkCapacity(
          { needs: needs === undefined ? undefined : wire.ResourceNeeds.fromPartial(needs) },
          callOptions(context, settings),
        ),
      ),
  };
}
