import { shapeKey } from "@headroom/scheduling";
import type { Facts, TaskFact, Violation } from "./facts.ts";

/** A task that could be given out as well as any other of its needs. */
interface Waiting {
  readonly task: TaskFact;
  /** Since when nobody has touched it, and it could start: a claim is seen as a touch. */
  sinceMs: number;
}

/**
 * V32: of tasks that need the same, none is given out while one that comes before it in the order of the queue waits, has waited for
 * `claimedForMs`, and was claimed by nobody within that time. `claimedForMs`: longer than two leases of a claim, that of the one and of the other.
 */
export function checkOrder({ changes, tasks }: Facts, claimedForMs: number): readonly Violation[] {
  const known = new Map(tasks.map((task) => [task.taskId, task]));
  const waitingByShape = new Map<string, Map<string, Waiting>>();
  const given = new Set<string>();
  const violations: Violation[] = [];
  const ofShape = ({ needs }: TaskFact): Map<string, Waiting> => {
    const key = shapeKey(needs);
    const waiting = waitingByShape.get(key) ?? new Map<string, Waiting>();
    waitingByShape.set(key, waiting);
    return waiting;
  };
  for (const change of changes) {
    if (change.row !== "pause" && change.row !== "task" && change.row !== "attempt") continue;
    const task = known.get(change.taskId);
    if (task === undefined) continue;
    const { taskId } = task;
    const shape = ofShape(task);
    if (change.row === "pause") {
      if (change.status !== "waiting" || change.blocked) shape.delete(taskId);
      else shape.set(taskId, { task, sinceMs: Math.max(change.atMs, change.resumeAfterMs ?? -Infinity) });
      continue;
    }
    const own = shape.get(taskId);
    if (own !== undefined) own.sinceMs = Math.max(own.sinceMs, change.atMs);
    if (change.row !== "attempt" || given.has(change.attemptId)) continue;
    given.add(change.attemptId);
    const before = [...shape.values()].find((one) => isOvertaken(one, task, change.atMs - claimedForMs));
    if (before === undefined) continue;
    const what = `task ${task.name} (${taskId}) was given out at ${change.atMs}; ${before.task.name} (${before.task.taskId}) needs the same, comes before it, and has waited since ${before.sinceMs}`;
    violations.push({ invariant: "V32", what });
  }
  return violations;
}

function isOvertaken({ task, sinceMs }: Waiting, by: TaskFact, untilMs: number): boolean {
  return task.rank < by.rank && task.taskId !== by.taskId && sinceMs <= untilMs;
}
