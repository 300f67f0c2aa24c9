import { wire } from "@headroom/client";

function word(members: Readonly<Record<string, number>>, prefix: string, value: number): string {
  const name = Object.entries(members).find(([, member]) => member === value)?.[0];
  if (name === undefined) throw new Error(`${value} is no ${prefix}`);
  return name.slice(prefix.length + 1);
}

/** "SUCCEEDED" for TASK_STATE_SUCCEEDED: assertions that fail are to be readable. */
export const taskStateWord = (state: wire.TaskState): string => word(wire.TaskState, "TASK_STATE", state);
export const planStatusWord = (status: wire.PlanStatus): string => word(wire.PlanStatus, "PLAN_STATUS", status);
export const pauseReasonWord = (reason: wire.PauseReason): string => word(wire.PauseReason, "PAUSE_REASON", reason);
export const attemptStateWord = (state: wire.AttemptState): string => word(wire.AttemptState, "ATTEMPT_STATE", state);
export const agentStatusWord = (status: wire.AgentStatus): string => word(wire.AgentStatus, "AGENT_STATUS", status);

/** The state of each task of a plan, by its name. */
export function statesOf(plan: wire.Plan): Readonly<Record<string, string>> {
  return Object.fromEntries(plan.tasks.map((task) => [task.name, taskStateWord(task.state)]));
}
