import { commandFromWire, msFromDuration, msFromTimestamp, needsFromWire, wire } from "@headroom/contracts";
import { invalidArgument } from "@headroom/rpc";
import type { Random } from "@headroom/runtime";
import type { Needs } from "@headroom/scheduling";
import { type CallTrace, type NewPause, type NewPlan, type NewTask, NO_CALL } from "../store/model.ts";
import { queueShape } from "./queue-shape.ts";

export const defaultMaxAttempts = 3;
export const defaultWorkLeaseMs = 300_000;

/** What holds a task before it is placed. */
export type Holds = (task: {
  readonly needs: Needs;
  readonly shapeKey: string;
  readonly priority: number;
  readonly resumeAfterMs: number | null;
  readonly dependsOn: readonly string[];
}) => NewPause | null;

/** What is known beside the plan itself. */
export interface Known {
  readonly requestHash: string;
  readonly call: CallTrace;
  /** How long a task took before; null: unknown. */
  readonly learnedMs: (taskName: string) => number | null;
  /** Ageing: what a point of priority is worth in time of waiting. */
  readonly pointMs: number;
}

const NOTHING_KNOWN: Known = { requestHash: "", call: NO_CALL, learnedMs: () => null, pointMs: 600_000 };

/** The plan as it is kept: ids given, defaults filled in, names turned into ids. It must have been validated. */
export function expandPlan(
  plan: wire.WorkPlan,
  requestId: string | null,
  random: Random,
  holds: Holds,
  known: Known = NOTHING_KNOWN,
): NewPlan {
  const ids = new Map(
    plan.tasks.map((task) => [task.name, task.taskId === "" ? random.uuid() : task.taskId.toLowerCase()]),
  );
  const planResumeAfterMs = msFromTimestamp(plan.resumeAfter);
  const tasks = plan.tasks.map((spec, position): NewTask => {
    const { command } = spec;
    if (command === undefined)
      throw invalidArgument([{ field: `plan.tasks[${position}].command`, description: "is missing" }]);
    const needs = needsFromWire(spec.needs);
    const key = queueShape(needs);
    const priority = spec.priority ?? plan.priority;
    const resumeAfterMs = msFromTimestamp(spec.resumeAfter) ?? planResumeAfterMs;
    return {
      taskId: idOf(ids, spec.name),
      name: spec.name,
      position,
      priority,
      needs,
      shapeKey: key,
      command: commandFromWire(command),
      resumeAfterMs,
      dependsOnTaskIds: spec.dependsOn.map((name) => idOf(ids, name)),
      maxAttempts: spec.maxAttempts === 0 ? defaultMaxAttempts : spec.maxAttempts,
      retryOnFailure: spec.retryOnFailure,
      holdUnknown: spec.onUnknownOutcome === wire.UnknownOutcomePolicy.UNKNOWN_OUTCOME_POLICY_HOLD,
      runTimeoutMs: msFromDuration(spec.runTimeout),
      workLeaseMs: msFromDuration(spec.workLease) ?? defaultWorkLeaseMs,
      waitTimeoutMs: msFromDuration(spec.waitTimeout),
      expectedDurationMs: msFromDuration(spec.expectedDuration) ?? known.learnedMs(spec.name),
      pause: holds({ needs, shapeKey: key, priority, resumeAfterMs, dependsOn: spec.dependsOn }),
    };
  });
  return {
    planId: random.uuid(),
    name: plan.name,
    namespace: plan.namespace === "" ? "default" : plan.namespace,
    priority: plan.priority,
    labels: { ...plan.labels },
    requestId,
    requestHash: known.requestHash,
    pointMs: known.pointMs,
    tasks,
    call: known.call,
  };
}

function idOf(ids: ReadonlyMap<string, string>, name: string): string {
  const id = ids.get(name);
  if (id === undefined) throw new Error(`the task "${name}" is not in the plan that was validated`);
  return id;
}
