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

/**
 * Of a task that an agent has: where, and when the agent is away, what becomes of the task and when. `lease` null: the attempt has just
 * ended. `graceMs`: how long after its lease an attempt counts as lost.
 */
export function givenSentence(task: TaskRecord, to: GivenTo, lease: WorkLease | null, graceMs: number): string {
  const isAssigned = task.state === "assigned";
  const trouble = lease === null ? null : troubleOf(to, lease);
  if (lease === null || trouble === null) {
    if (isAssigned) return `It was given to agent ${to.agentId}, which has not answered yet.`;
    return `It runs on agent ${to.agentId}${task.cancelRequested ? ", which is ending it" : ""}.`;
  }
  const given = time(task.attempts[0]?.assignedAtMs ?? lease.nowMs);
  const where = isAssigned ? `It was given at ${given} to agent ${to.agentId}` : `It runs on agent ${to.agentId}`;
  // What was never sent is taken back within seconds, whatever its lease.
  if (!lease.sent) return `${where}, which ${trouble}; it has not been sent yet.`;
  const heard = lease.renewedAtMs === null ? "has not answered yet" : `was last heard of at ${time(lease.renewedAtMs)}`;
  const isOver = lease.expiresAtMs <= lease.nowMs;
  const until = `Its work lease ${isOver ? "ended" : "ends"} at ${time(lease.expiresAtMs)}`;
  const follows = whatFollows(task, lease, `${Math.round(graceMs / 1_000)} s after that`);
  const unless = isOver ? "" : "unless the agent is back by then, ";
  return `${where}, which ${trouble} and ${heard}. ${until}; ${unless}the task ${follows}.`;
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
