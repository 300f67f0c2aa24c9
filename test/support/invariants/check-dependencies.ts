import type { TaskState } from "@headroom/scheduling";
import type { Facts, Violation } from "./facts.ts";

/** V30: a task is given out only when everything that it depends on has succeeded. Changes of one plan stand in the order of their commits. */
export function checkDependencies({ tasks, changes }: Facts): readonly Violation[] {
  const dependsOn = new Map(tasks.map((task) => [task.taskId, task.dependsOn]));
  const stateOf = new Map<string, TaskState>();
  return changes.flatMap((change) => {
    if (change.row !== "task") return [];
    const before = stateOf.get(change.taskId);
    stateOf.set(change.taskId, change.state);
    if (change.state !== "assigned" || before === "assigned") return [];
    const missing = (dependsOn.get(change.taskId) ?? []).filter((taskId) => stateOf.get(taskId) !== "succeeded");
    return missing.map((taskId): Violation => {
      const what = `task ${change.taskId} was given out at ${change.atMs}, and ${taskId}, on which it depends, was ${stateOf.get(taskId) ?? "not there"}`;
      return { invariant: "V30", what };
    });
  });
}
