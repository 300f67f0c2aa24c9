import { wire } from "@headroom/contracts";
import { callOptions, type ClientContext } from "./caller.ts";
import { createLogSkipper } from "./log-skipper.ts";
import { attempt, present, type Result } from "./result.ts";
import type { CallSettings } from "./types.ts";
import { watchStream, type WatchItem } from "./watch-stream.ts";

/** Single tasks. */
export interface TasksClient {
  /** A task with all its attempts. Unknown: `not_found`, reason TASK_NOT_FOUND. */
  get(taskId: string, settings?: CallSettings): Promise<Result<wire.Task>>;
  /** Tasks with their newest attempt, the newest first. */
  list(filter?: Partial<wire.ListTasksRequest>, settings?: CallSettings): Promise<Result<wire.ListTasksResponse>>;
  /** Cancels one task. One that has ended: `precondition`, reason TASK_ALREADY_FINISHED. */
  cancel(taskId: string, reason?: string, settings?: CallSettings): Promise<Result<wire.Task>>;
  /** Why it does not run, or where it does. */
  explain(
    taskId: string,
    settings?: CallSettings & { readonly maxAgents?: number },
  ): Promise<Result<wire.ExplainTaskResponse>>;
  /** What a run wrote, the newest unless `attemptId` names one; with `follow`, until it has ended and all has come. Survives a lost connection without a byte twice; fails where nothing answers at the first try. */
  logs(
    taskId: string,
    settings?: { readonly attemptId?: string; readonly follow?: boolean; readonly signal?: AbortSignal },
  ): AsyncIterable<WatchItem<wire.StreamTaskLogsResponse>>;
}

export function createTasksClient(context: ClientContext): TasksClient {
  const service = () => context.channels.client("orchestrator", wire.PlanServiceService);
  return {
    get: (taskId, settings = {}) =>
      attempt(async () => {
        const answer = await (await service()).getTask({ taskId }, callOptions(context, settings));
        return present(answer.task, "the task");
      }),
    list: (filter = {}, settings = {}) =>
      attempt(async () =>
        (await service()).listTasks(wire.ListTasksRequest.fromPartial(filter), callOptions(context, settings)),
      ),
    cancel: (taskId, reason = "", settings = {}) =>
      attempt(async () => {
        const answer = await (await service()).cancelTask({ taskId, reason }, callOptions(context, settings));
        return present(answer.task, "the task");
      }),
    explain: (taskId, settings = {}) =>
      attempt(async () =>
        (await service()).explainTask({ taskId, maxAgents: settings.maxAgents ?? 0 }, callOptions(context, settings)),
      ),
    logs(taskId, settings = {}) {
      const skipper = createLogSkipper();
      return watchStream<wire.StreamTaskLogsResponse>({
        context,
        signal: settings.signal,
        open: async (options) => {
          const attemptId = skipper.attemptId() ?? settings.attemptId ?? "";
          const client = await service();
          return client.streamTaskLogs({ taskId, attemptId, follow: settings.follow ?? false }, options);
        },
        accept: (piece) => skipper.accept(piece),
        // A stream of output has no last piece that says so: its clean end is the end.
        endIsEnd: true,
        isLast: () => true,
        // Who does not follow would not wait for a service that is away; who does waits for one that was there.
        isEndAtFirst: ({ reason }) => settings.follow !== true || reason === "SERVER_UNREACHABLE",
      });
    },
  };
}
