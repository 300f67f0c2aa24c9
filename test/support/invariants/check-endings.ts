import { isFinalAttemptState, isFinalTaskState } from "@headroom/scheduling";
import type { Facts, Violation } from "./facts.ts";
import { groupBy } from "./timeline.ts";

/** V1: whatever a caller was told to be accepted is there, whole, and once however often it was asked for. */
export function checkAccepted({ accepted, plans, tasks }: Facts): readonly Violation[] {
  const known = new Map(plans.map((plan) => [plan.planId, plan]));
  const counts = groupBy(tasks, (task) => task.planId);
  const violations: Violation[] = [];
  const found = (what: string): void => void violations.push({ invariant: "V1", what });
  const byName = groupBy(plans, (plan) => plan.name);
  for (const { planId, tasks: wanted, name } of accepted) {
    const ofName = name === undefined ? 1 : (byName.get(name)?.length ?? 0);
    if (ofName > 1) found(`plan ${name} (${planId}) was accepted once and is there ${ofName} times`);
    if (!known.has(planId)) found(`plan ${planId} was accepted and is not there`);
    else if ((counts.get(planId)?.length ?? 0) !== wanted) {
      found(`plan ${planId} was accepted with ${wanted} tasks and has ${counts.get(planId)?.length ?? 0}`);
    }
  }
  for (const { planId, totalTasks } of plans) {
    const there = counts.get(planId)?.length ?? 0;
    if (there !== totalTasks) found(`plan ${planId} says it has ${totalTasks} tasks; ${there} are there`);
  }
  return violations;
}

/** V2: everything ends, and a plan with the last of its tasks. */
export function checkEnded({ plans, tasks, attempts, pauses, isOver }: Facts): readonly Violation[] {
  const violations: Violation[] = [];
  const found = (what: string): void => void violations.push({ invariant: "V2", what });
  const open = groupBy(
    tasks.filter((task) => !isFinalTaskState(task.state)),
    (task) => task.planId,
  );
  for (const { planId, unfinishedTasks, outcome } of plans) {
    const unfinished = open.get(planId)?.length ?? 0;
    if (unfinishedTasks !== unfinished) {
      found(`plan ${planId} counts ${unfinishedTasks} unfinished tasks; there are ${unfinished}`);
    }
    if ((outcome !== null) !== (unfinished === 0)) {
      found(`plan ${planId} is ${outcome ?? "not ended"} with ${unfinished} unfinished tasks`);
    }
  }
  const taskById = new Map(tasks.map((task) => [task.taskId, task]));
  const hasEnded = (taskId: string): boolean => isFinalTaskState(taskById.get(taskId)?.state ?? "pending");
  for (const { attemptId, taskId, state } of attempts) {
    if (!isFinalAttemptState(state) && hasEnded(taskId)) found(`attempt ${attemptId} is ${state}, its task has ended`);
  }
  for (const { pauseQueueId, taskId, status } of pauses) {
    if (status === "waiting" && hasEnded(taskId)) found(`queue row ${pauseQueueId} waits, its task has ended`);
  }
  if (isOver) {
    for (const { taskId, name, state } of tasks) {
      if (!isFinalTaskState(state)) found(`task ${name} (${taskId}) never ended: it is ${state}`);
    }
  }
  return violations;
}
