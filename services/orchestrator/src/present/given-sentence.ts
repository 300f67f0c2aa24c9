import type { AgentStatus } from "@headroom/scheduling";
import type { TaskRecord } from "../store/model.ts";
import type { WorkLease } from "../store/port.ts";

/** What is known of the agent that has a task. */
export interface GivenTo {
  readonly agentId: string;
  /** Null: the registry cannot be asked, or knows it no more. */
  readonly status: AgentStatus | null;
  /** Its work stream is up; null: unknown. */
  readonly attached: boolean | null;
}

export interface GivenRules {
  /** How long after its lease an attempt counts as lost. */
  readonly lostGraceMs: number;
  /** How long after it was given out an assignment without an answer is sent again, with a new lease each time. */
  readonly resendWithinMs: number;
}

/**
 * Of a task that an agent has: where, and when the agent is away or does not answer, what becomes of the task and when. `lease` null: the
 * attempt has just ended.
 */
export function givenSentence(task: TaskRecord, to: GivenTo, lease: WorkLease | null, rules: GivenRules): string {
  const where = whereOf(task, to);
  const trouble = lease === null ? null : troubleOf(to, lease);
  // What was never sent is taken back within seconds, whatever its lease.
  if (trouble !== null && lease?.sent === false) return `${where}, which ${trouble}; it has not been sent yet.`;
  if (lease !== null && trouble !== null)
    return `${where}, which ${trouble} and ${heardOf(lease)}. ${untilWhen(task, lease, "is back", rules)}`;
  if (task.state !== "assigned") return `${where}${task.cancelRequested ? ", which is ending it" : ""}.`;
  if (lease === null || lease.nowMs - givenAtMs(task, lease.nowMs) < rules.resendWithinMs)
    return `${where}, which has not answered yet.`;
  return `${where}, which has not answered since. ${untilWhen(task, lease, "has answered", rules)}`;
}

function whereOf(task: TaskRecord, { agentId }: GivenTo): string {
  if (task.state !== "assigned") return `It runs on agent ${agentId}`;
  const atMs = givenAtMs(task, null);
  return `It was given${atMs === null ? "" : ` at ${time(atMs)}`} to agent ${agentId}`;
}

function givenAtMs<Otherwise>(task: TaskRecord, otherwise: Otherwise): number | Otherwise {
  return task.attempts[0]?.assignedAtMs ?? otherwise;
}

function heardOf({ renewedAtMs }: WorkLease): string {
  return renewedAtMs === null ? "has not answered yet" : `was last heard of at ${time(renewedAtMs)}`;
}

/** `saving`: what its agent must have done by the end of the lease. */
function untilWhen(task: TaskRecord, lease: WorkLease, saving: string, { lostGraceMs }: GivenRules): string {
  const isOver = lease.expiresAtMs <= lease.nowMs;
  const unless = isOver ? "" : `unless the agent ${saving} by then, `;
  const follows = whatFollows(task, lease, `${Math.round(lostGraceMs / 1_000)} s after that`);
  return `Its work lease ${isOver ? "ended" : "ends"} at ${time(lease.expiresAtMs)}; ${unless}the task ${follows}.`;
}

/** Null: nothing is wrong. An agent renews at least three times in the time of a lease: half of it without a word is silence. */
function troubleOf({ status, attached }: GivenTo, { renewedAtMs, expiresAtMs, nowMs }: WorkLease): string | null {
  if (status === "offline" || status === "suspect") return `is ${status}`;
  if (attached === false) return "has no work stream to an orchestrator";
  const isOverdue = renewedAtMs !== null && nowMs - renewedAtMs > (expiresAtMs - renewedAtMs) / 2;
  return isOverdue || expiresAtMs <= nowMs ? "is silent" : null;
}

function whatFollows(task: TaskRecord, { runsUsed }: WorkLease, when: string): string {
  if (task.cancelRequested) return `counts as cancelled ${when}`;
  if (task.holdUnknown) return `fails ${when}, and is not run again by itself (on_unknown_outcome: hold)`;
  if (runsUsed >= task.maxAttempts) return `fails ${when}: this is run ${runsUsed} of ${task.maxAttempts}`;
  return `is tried elsewhere ${when}`;
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
