import type { TaskRecord } from "../store/model.ts";
import { fullStop } from "./full-stop.ts";

/** More of them would not be read. */
const maxNamed = 3;

/** The tasks of its plan that it still waits for; `planTasks` holds them all. */
export function unmetDependencies(task: TaskRecord, planTasks: readonly TaskRecord[]): readonly TaskRecord[] {
  const names = new Set(task.dependsOn);
  return planTasks.filter(({ name, state }) => names.has(name) && state !== "succeeded");
}

/** What it waits for, and why that has not succeeded yet: whoever reads it has to look there. Empty: there is none. */
export function dependencySentence(unmet: readonly TaskRecord[]): string {
  if (unmet.length === 0) return "";
  const more = unmet.length > maxNamed ? ` It waits for ${unmet.length - maxNamed} more.` : "";
  return `${unmet.slice(0, maxNamed).map(oneSentence).join(" ")}${more}`;
}

/** For a list of what would help. */
export function dependencyWayOut(unmet: readonly TaskRecord[]): string {
  const [first] = unmet;
  if (first === undefined) return "";
  return unmet.length === 1 ? `${first.name} has to succeed` : `${unmet.length} tasks have to succeed`;
}

function oneSentence({ name, taskId, state, pause, outcomeReason }: TaskRecord): string {
  const why = pause === null ? outcomeReason : pause.sentence;
  const reason = pause === null ? "" : ` (${pause.reason.toLowerCase()})`;
  return fullStop(
    `It waits for ${name} (${taskId}) to succeed, which is ${state}${reason}${why === "" ? "" : `: ${why}`}`,
  );
}
