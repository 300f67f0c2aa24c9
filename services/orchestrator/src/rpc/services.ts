/** The three services of the orchestrator, each RPC with its handler. */
import { wire } from "@headroom/contracts";
import { bindService, type BoundService } from "@headroom/rpc";
import { attach } from "../work/attach.ts";
import { cancelPlan } from "./cancel-plan.ts";
import { cancelTask } from "./cancel-task.ts";
import { checkCapacity } from "./check-capacity.ts";
import type { HandlerDeps } from "./deps.ts";
import { dispatchPlan } from "./dispatch-plan.ts";
import { explainTask } from "./explain-task.ts";
import { getPlan } from "./get-plan.ts";
import { getQueueStatus } from "./get-queue-status.ts";
import { getTask } from "./get-task.ts";
import { holdPlan } from "./hold-plan.ts";
import { holdQueue } from "./hold-queue.ts";
import { listPausedTasks } from "./list-paused-tasks.ts";
import { listPlanEvents } from "./list-plan-events.ts";
import { listPlans } from "./list-plans.ts";
import { listQueueEvents } from "./list-queue-events.ts";
import { listTasks } from "./list-tasks.ts";
import { previewPlan } from "./preview-plan.ts";
import { releasePlan } from "./release-plan.ts";
import { releaseQueue } from "./release-queue.ts";
import { resumePausedWork } from "./resume-paused-work.ts";
import { retryPlan } from "./retry-plan.ts";
import { streamTaskLogs } from "./stream-task-logs.ts";
import { watchPlan } from "./watch-plan.ts";

export function orchestratorServices(deps: HandlerDeps): readonly BoundService[] {
  return [
    bindService(wire.PlanServiceService, {
      dispatchPlan: dispatchPlan(deps),
      previewPlan: previewPlan(deps),
      getPlan: getPlan(deps),
      listPlans: listPlans(deps),
      cancelPlan: cancelPlan(deps),
      holdPlan: holdPlan(deps),
      releasePlan: releasePlan(deps),
      retryPlan: retryPlan(deps),
      listPlanEvents: listPlanEvents(deps),
      watchPlan: watchPlan(deps),
      getTask: getTask(deps),
      listTasks: listTasks(deps),
      cancelTask: cancelTask(deps),
      explainTask: explainTask(deps),
      streamTaskLogs: streamTaskLogs(deps),
    }),
    bindService(wire.PauseQueueServiceService, {
      checkCapacity: checkCapacity(deps),
      listPausedTasks: listPausedTasks(deps),
      resumePausedWork: resumePausedWork(deps),
      holdQueue: holdQueue(deps),
      releaseQueue: releaseQueue(deps),
      listQueueEvents: listQueueEvents(deps),
      getQueueStatus: getQueueStatus(deps),
    }),
    bindService(wire.WorkServiceService, {
      attach: (stream, context) => attach(deps, stream, context),
    }),
  ];
}
