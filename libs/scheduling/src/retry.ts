/** Which tasks of a plan come back when a person asks for what failed again. */
import type { TaskState } from "./task-state.ts";

export interface RetryCandidate {
  readonly taskId: string;
  readonly state: TaskState;
  /** It was cancelled because something that it depends on did not succeed, not because somebody asked for it. */
  readonly cancelledByDependency: boolean;
  readonly dependsOn: readonly string[];
}

export interface RetryChoice {
  /** Failed: they run again. */
  readonly retried: readonly string[];
  /** Cancelled because of those: they wait again. */
  readonly restored: readonly string[];
}

/**
 * All that failed runs again. What was cancelled because of it comes back, unless it also depends, directly or not, on
 * something that stays ended without success: it could never start, and its plan never end. Answers stand in the order given.
 */
export function chooseRetry(tasks: readonly RetryCandidate[]): RetryChoice {
  const retried = tasks.filter(({ state }) => state === "failed").map(({ taskId }) => taskId);
  const byId = new Map(tasks.map((task) => [task.taskId, task]));
  const hopeful = followers(tasks, new Set(retried));
  const hopeless = followers(
    tasks,
    new Set(tasks.filter((task) => staysCancelled(task, hopeful)).map(({ taskId }) => taskId)),
  );
  const restored = tasks
    .filter(({ taskId }) => hopeful.has(taskId) && !hopeless.has(taskId) && isRestorable(byId.get(taskId)))
    .map(({ taskId }) => taskId);
  return { retried, restored };
}

function isRestorable(task: RetryCandidate | undefined): boolean {
  return task !== undefined && task.state === "cancelled" && task.cancelledByDependency;
}

function staysCancelled(task: RetryCandidate, hopeful: ReadonlySet<string>): boolean {
  return task.state === "cancelled" && !(task.cancelledByDependency && hopeful.has(task.taskId));
}

/** All that depends on one of `roots`, directly or not; not the roots themselves unless they do. */
function followers(tasks: readonly RetryCandidate[], roots: ReadonlySet<string>): ReadonlySet<string> {
  const dependents = new Map<string, string[]>();
  for (const { taskId, dependsOn } of tasks) {
    for (const dependency of dependsOn) {
      const known = dependents.get(dependency);
      if (known === undefined) dependents.set(dependency, [taskId]);
      else known.push(taskId);
    }
  }
  const reached = new Set<string>();
  const toVisit = [...roots];
  for (let next = toVisit.pop(); next !== undefined; next = toVisit.pop()) {
    for (const taskId of dependents.get(next) ?? []) {
      if (reached.has(taskId)) continue;
      reached.add(taskId);
      toVisit.push(taskId);
    }
  }
  return reached;
}
