/** Dependencies between the tasks of one plan: are they sound, and what do they say of a task. */
import type { TaskState } from "./task-state.ts";

export interface DependentTask {
  readonly name: string;
  readonly dependsOn: readonly string[];
}

export type DependencyProblem =
  | { readonly kind: "duplicate_name"; readonly name: string }
  | { readonly kind: "unknown_dependency"; readonly name: string; readonly dependsOn: string }
  | { readonly kind: "duplicate_dependency"; readonly name: string; readonly dependsOn: string }
  | { readonly kind: "self_dependency"; readonly name: string }
  /** `path` ends where it begins: ["a", "b", "a"] when a depends on b and b on a. */
  | { readonly kind: "cycle"; readonly path: readonly string[] };

export type DependencyCheck =
  /** `order`: every task after all it depends on; otherwise as given. */
  | { readonly kind: "sound"; readonly order: readonly string[] }
  | { readonly kind: "unsound"; readonly problems: readonly DependencyProblem[] };

/** Checks names and references; looks for a cycle (and reports one) only when those are in order. */
export function checkDependencies(tasks: readonly DependentTask[]): DependencyCheck {
  const problems = [...nameProblems(tasks), ...referenceProblems(tasks)];
  if (problems.length > 0) return { kind: "unsound", problems };
  const walk = walkDependencies(tasks);
  if (walk.cycle !== null) return { kind: "unsound", problems: [{ kind: "cycle", path: walk.cycle }] };
  return { kind: "sound", order: walk.order };
}

/** What a task's dependencies say of it, by their states: failed as soon as one of them cannot succeed any more. */
export function dependencyVerdict(dependencies: readonly TaskState[]): "ready" | "pending" | "failed" {
  if (dependencies.some((state) => state === "failed" || state === "cancelled")) return "failed";
  return dependencies.every((state) => state === "succeeded") ? "ready" : "pending";
}

/** One sentence about a problem, naming the task. */
export function dependencyProblemText(problem: DependencyProblem): string {
  switch (problem.kind) {
    case "duplicate_name":
      return `two tasks are named "${problem.name}"; names must be unique within a plan`;
    case "unknown_dependency":
      return `task "${problem.name}" depends on "${problem.dependsOn}", which is not in the plan`;
    case "duplicate_dependency":
      return `task "${problem.name}" names its dependency "${problem.dependsOn}" twice`;
    case "self_dependency":
      return `task "${problem.name}" depends on itself`;
    case "cycle":
      return `tasks depend on each other in a circle: ${problem.path.join(" -> ")}`;
  }
}

function nameProblems(tasks: readonly DependentTask[]): readonly DependencyProblem[] {
  const seen = new Set<string>();
  const repeated = new Set<string>();
  for (const { name } of tasks) (seen.has(name) ? repeated : seen).add(name);
  return [...repeated].map((name) => ({ kind: "duplicate_name", name }));
}

function referenceProblems(tasks: readonly DependentTask[]): readonly DependencyProblem[] {
  const names = new Set(tasks.map((task) => task.name));
  const problems: DependencyProblem[] = [];
  for (const { name, dependsOn: dependencies } of tasks) {
    const seen = new Set<string>();
    for (const dependsOn of dependencies) {
      if (dependsOn === name) problems.push({ kind: "self_dependency", name });
      else if (!names.has(dependsOn)) problems.push({ kind: "unknown_dependency", name, dependsOn });
      else if (seen.has(dependsOn)) problems.push({ kind: "duplicate_dependency", name, dependsOn });
      seen.add(dependsOn);
    }
  }
  return problems;
}

interface Walk {
  readonly order: readonly string[];
  readonly cycle: readonly string[] | null;
}

/** Depth first with its own stack: a chain of any length must not end in a stack overflow. */
function walkDependencies(tasks: readonly DependentTask[]): Walk {
  const dependenciesOf = new Map(tasks.map((task) => [task.name, task.dependsOn]));
  const order: string[] = [];
  const done = new Set<string>();
  for (const { name: start } of tasks) {
    const path: { readonly name: string; next: number }[] = done.has(start) ? [] : [{ name: start, next: 0 }];
    const onPath = new Set<string>(path.map((visit) => visit.name));
    for (let visit = path.at(-1); visit !== undefined; visit = path.at(-1)) {
      const dependency = dependenciesOf.get(visit.name)?.[visit.next];
      visit.next += 1;
      if (dependency === undefined) {
        path.pop();
        onPath.delete(visit.name);
        done.add(visit.name);
        order.push(visit.name);
      } else if (onPath.has(dependency)) {
        const names = path.map((step) => step.name);
        return { order, cycle: [...names.slice(names.indexOf(dependency)), dependency] };
      } else if (!done.has(dependency)) {
        path.push({ name: dependency, next: 0 });
        onPath.add(dependency);
      }
    }
  }
  return { order, cycle: null };
}
