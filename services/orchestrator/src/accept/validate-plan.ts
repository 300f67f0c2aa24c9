import { msFromTimestamp, type wire } from "@headroom/contracts";
import { type FieldViolation, HeadroomError, invalidArgument } from "@headroom/rpc";
import { checkDependencies, type DependencyProblem } from "@headroom/scheduling";
import { jsonBytes } from "./plan-bytes.ts";

/** A plan as JSON may take this much; with 10,000 tasks that is 1.6 KB for each. */
const maxPlanBytes = 16 * 1_048_576;
const maxViolations = 50;
/** Of all tasks together: 10 for each of the most that a plan may have. Each is a row, and all are written in one transaction. */
const maxDependencies = 100_000;
/** Whoever writes 1970 or 9999 meant something else. */
const earliestResumeAfterMs = Date.UTC(2000, 0, 1);
const farthestResumeAfterMs = 10 * 366 * 86_400_000;

/**
 * What the rules in the .proto cannot say. Throws HeadroomError: INVALID_ARGUMENT with every field, or UNIMPLEMENTED. `wireBytes`: how
 * long it is on the wire.
 */
export function validatePlan(plan: wire.WorkPlan, wireBytes: number, nowMs: number): void {
  refuseUnbuilt(plan);
  refuseTooManyDependencies(plan);
  const bytes = jsonBytes(plan, wireBytes, maxPlanBytes);
  if (bytes > maxPlanBytes) {
    const description = `has ${bytes} bytes as JSON; ${maxPlanBytes} are the most: split it into several plans`;
    throw invalidArgument([{ field: "plan", description }], "PLAN_TOO_LARGE");
  }
  const violations = [...taskIdViolations(plan), ...timeViolations(plan, nowMs), ...dependencyViolations(plan)];
  if (violations.length > 0) throw invalidArgument(violations.slice(0, maxViolations), "INVALID_PLAN");
}

function refuseUnbuilt(plan: wire.WorkPlan): void {
  for (const [index, task] of plan.tasks.entries()) {
    if (task.gang !== "") throw notBuilt(`plan.tasks[${index}].gang`);
  }
}

function notBuilt(field: string): HeadroomError {
  const description = "is part of the contract and not built yet in this version: leave it out";
  return new HeadroomError({
    code: "UNIMPLEMENTED",
    reason: "NOT_BUILT_YET",
    message: `${field} ${description}`,
    fieldViolations: [{ field, description }],
  });
}

/** Before any of them is looked at. Names the task with which they are too many. */
function refuseTooManyDependencies(plan: wire.WorkPlan): void {
  let count = 0;
  const index = plan.tasks.findIndex(({ dependsOn }) => (count += dependsOn.length) > maxDependencies);
  if (index === -1) return;
  const description = `with it the tasks of the plan name more than ${maxDependencies} dependencies together: let a task in between stand for many, or split the plan`;
  throw invalidArgument([{ field: `plan.tasks[${index}].depends_on`, description }], "INVALID_PLAN");
}

function taskIdViolations(plan: wire.WorkPlan): readonly FieldViolation[] {
  const firstIndex = new Map<string, number>();
  const violations: FieldViolation[] = [];
  for (const [index, { taskId }] of plan.tasks.entries()) {
    if (taskId === "") continue;
    const id = taskId.toLowerCase();
    const first = firstIndex.get(id);
    if (first === undefined) firstIndex.set(id, index);
    else
      violations.push({
        field: `plan.tasks[${index}].task_id`,
        description: `${id} is also the id of plan.tasks[${first}]`,
      });
  }
  return violations;
}

function timeViolations(plan: wire.WorkPlan, nowMs: number): readonly FieldViolation[] {
  const times = [
    { field: "plan.resume_after", at: plan.resumeAfter },
    ...plan.tasks.map((task, index) => ({ field: `plan.tasks[${index}].resume_after`, at: task.resumeAfter })),
  ];
  return times.flatMap(({ field, at }) => {
    const atMs = msFromTimestamp(at);
    if (atMs === null || (atMs >= earliestResumeAfterMs && atMs <= nowMs + farthestResumeAfterMs)) return [];
    return [
      {
        field,
        description: "lies before the year 2000 or more than 10 years ahead; write the time as 2026-01-31T12:00:00Z",
      },
    ];
  });
}

function dependencyViolations(plan: wire.WorkPlan): readonly FieldViolation[] {
  const check = checkDependencies(plan.tasks.map(({ name, dependsOn }) => ({ name, dependsOn })));
  if (check.kind === "sound") return [];
  // Each is looked for in the whole plan.
  return check.problems.slice(0, maxViolations).map((problem) => violationOf(problem, plan));
}

function violationOf(problem: DependencyProblem, plan: wire.WorkPlan): FieldViolation {
  const lastIndexOf = (name: string): number => plan.tasks.findLastIndex((task) => task.name === name);
  switch (problem.kind) {
    case "duplicate_name":
      return {
        field: `plan.tasks[${lastIndexOf(problem.name)}].name`,
        description: `"${problem.name}" is the name of another task of this plan too`,
      };
    case "unknown_dependency":
      return {
        field: dependencyField(plan, problem),
        description: `there is no task "${problem.dependsOn}" in this plan`,
      };
    case "duplicate_dependency":
      return { field: dependencyField(plan, problem), description: `"${problem.dependsOn}" is named twice` };
    case "self_dependency":
      return {
        field: dependencyField(plan, { ...problem, dependsOn: problem.name }),
        description: `"${problem.name}" depends on itself`,
      };
    case "cycle":
      return {
        field: "plan.tasks",
        description: `the tasks depend on each other in a circle: ${problem.path.join(" -> ")}`,
      };
  }
}

function dependencyField(plan: wire.WorkPlan, problem: { readonly name: string; readonly dependsOn: string }): string {
  const taskIndex = plan.tasks.findIndex((task) => task.name === problem.name);
  const index = plan.tasks[taskIndex]?.dependsOn.lastIndexOf(problem.dependsOn) ?? 0;
  return `plan.tasks[${taskIndex}].depends_on[${index}]`;
}
