import type { AttemptFact, Facts, TaskFact, Violation } from "./facts.ts";
import { groupBy } from "./timeline.ts";

/** What happened to a command, and not what it did: tried again as long as there are runs left. */
const befell = new Set(["AGENT_RESTARTED", "LEASE_EXPIRED", "CANCELLED"]);
/** What a command did itself: tried again on request. */
const did = new Set(["EXITED", "SIGNALED", "TIMED_OUT", "SPAWN_FAILED"]);

/** Its agent asked it to end: that it then ended with 0 says that it went when it was asked, as many programs do, and not that it had done its work. */
const asked = new Set(["EVICTED", "LEASE_EXPIRED", "TIMED_OUT", "CANCELLED"]);

/**
 * V29: what succeeds counts, and what may run again does: an attempt fails only if its agent saw something else than exit 0, or had asked it to end, a task only when it
 * may not run again, and a plan that nothing can make fail succeeds.
 */
export function checkSuccesses(facts: Facts): readonly Violation[] {
  return [...checkFailedAttempts(facts), ...checkFailedTasks(facts), ...checkMustSucceed(facts)];
}

function checkFailedAttempts({ attempts, runs }: Facts): readonly Violation[] {
  const ofAttempt = groupBy(runs, (run) => run.attemptId);
  return attempts
    .filter(({ state, reason }) => state === "failed" && !asked.has(reason))
    .flatMap(({ attemptId, fence, reason }) => {
      const saw0 = ofAttempt.get(attemptId)?.some(({ end }) => end?.exitCode === 0 && end.fence === fence) === true;
      if (!saw0) return [];
      const what = `attempt ${attemptId} (fence ${fence}) failed (${reason}); its agent saw its command end with 0`;
      return [{ invariant: "V29" as const, what }];
    });
}

function checkFailedTasks({ tasks, attempts, events }: Facts): readonly Violation[] {
  const ofTask = groupBy(attempts, ({ taskId }) => taskId);
  const timedOut = new Set(events.flatMap(({ kind, taskId }) => (kind === "TASK_WAIT_TIMED_OUT" ? [taskId] : [])));
  return tasks
    .filter(({ state, taskId }) => state === "failed" && !timedOut.has(taskId))
    .flatMap((task) => {
      const own = (ofTask.get(task.taskId) ?? []).toSorted((one, other) => one.number - other.number);
      const last = own.at(-1);
      if (last !== undefined && !mayRunAgain(task, last, own)) return [];
      const how =
        last === undefined ? "and never ran" : `after ${own.length} of ${task.maxAttempts} runs (${last.reason})`;
      return [{ invariant: "V29" as const, what: `task ${task.name} (${task.taskId}) failed ${how}` }];
    });
}

function mayRunAgain(task: TaskFact, last: AttemptFact, own: readonly AttemptFact[]): boolean {
  // The owner took the machine back, or nobody got it: however often that happens.
  if (last.reason === "EVICTED" || last.state === "undelivered") return true;
  const used = own.filter(({ state, reason }) => state === "lost" || (state === "failed" && reason !== "EVICTED"));
  if (used.length >= task.maxAttempts) return false;
  const isUnknown = last.state === "lost" || last.reason === "AGENT_RESTARTED";
  if (isUnknown) return !task.holdUnknown;
  return befell.has(last.reason) || (did.has(last.reason) && task.retryOnFailure);
}

function checkMustSucceed({ accepted, plans, isOver }: Facts): readonly Violation[] {
  if (!isOver) return [];
  const known = new Map(plans.map((plan) => [plan.planId, plan]));
  return accepted.flatMap(({ planId, mustSucceed }) => {
    const plan = known.get(planId);
    if (mustSucceed !== true || plan === undefined || plan.outcome === "succeeded") return [];
    const what = `plan ${plan.name} (${planId}) is ${plan.outcome ?? "not over"}, and nothing was to make it fail`;
    return [{ invariant: "V29" as const, what }];
  });
}
