import type { Facts, Violation } from "./facts.ts";
import { holds, promisesByAgent } from "./check-room.ts";
import { mayRunOn } from "./room.ts";

const writtenWithinMs = 5_000;

/**
 * V14: nothing is promised on a machine that takes no work: not online, not attached, held, cordoned, draining or on probation. Whoever promises room knows
 * that so much later at most. Each reason counts by itself: one may end in the moment in which another begins.
 */
export function checkUsable({ changes, stalls = [] }: Facts, toldWithinMs: number): readonly Violation[] {
  const violations: Violation[] = [];
  const unusableSince = new Map<string, ReadonlyMap<string, number>>();
  const promised = new Map<string, string>();
  const isPromise = new Set(
    [...promisesByAgent(changes).values()]
      .flat()
      .filter(holds)
      .map(({ seq }) => seq),
  );
  for (const change of changes) {
    // Whatever else is told of it meanwhile says that more may be on its way.
    if (change.row === "agent")
      unusableSince.set(change.agentId, new Map(change.unusableFor.map((reason) => [reason, change.atMs])));
    if (change.row !== "reservation") continue;
    const { attemptId, agentId, state, atMs, seq } = change;
    const isNew = isPromise.has(seq) && state === "unconfirmed" && promised.get(attemptId) !== agentId;
    if (holds(change)) promised.set(attemptId, agentId);
    else promised.delete(attemptId);
    if (!isNew || stalls.some(({ fromMs, toMs }) => atMs >= fromMs && atMs <= toMs)) continue;
    const known = [...(unusableSince.get(agentId) ?? [])].find(
      ([reason, sinceMs]) => atMs - sinceMs > toldWithinMs && !endsSoon(changes, agentId, reason, atMs),
    );
    if (known === undefined) continue;
    const [reason, sinceMs] = known;
    const what = `at ${atMs} room on agent ${agentId} was promised to ${attemptId}; it took no work from ${sinceMs} on: ${reason}`;
    violations.push({ invariant: "V14", what });
  }
  return violations;
}

/** The registry that heard of it gives room at once, and writes it down a moment later. */
function endsSoon(changes: Facts["changes"], agentId: string, reason: string, atMs: number): boolean {
  return changes.some(
    (change) =>
      change.row === "agent" &&
      change.agentId === agentId &&
      !change.unusableFor.includes(reason) &&
      change.atMs >= atMs &&
      change.atMs - atMs <= writtenWithinMs,
  );
}

/** V14: what asks for one machine, or for one with certain labels, is given to no other. */
export function checkAllowed({ attempts, tasks, machines }: Facts): readonly Violation[] {
  const asked = new Map(tasks.map(({ taskId, needs }) => [taskId, needs]));
  const known = new Map(machines.map((machine) => [machine.agentId, machine]));
  return attempts.flatMap(({ attemptId, taskId, agentId }) => {
    const [machine, needs] = [known.get(agentId), asked.get(taskId)];
    if (machine === undefined || needs === undefined || mayRunOn(machine, needs)) return [];
    const what = `attempt ${attemptId} of task ${taskId} was given to agent ${agentId}, and asks for ${JSON.stringify(needs.labels)} on ${needs.agentId ?? "any"}`;
    return [{ invariant: "V14" as const, what }];
  });
}

/** V15: what is to wait until a time is not resumed before it. */
export function checkResumeAfter({ changes }: Facts): readonly Violation[] {
  return changes.flatMap((change) => {
    if (change.row !== "pause" || change.status !== "resumed" || change.resumeAfterMs === null) return [];
    // A millisecond is what times lose on their way out of the database.
    if (change.atMs + 1 >= change.resumeAfterMs) return [];
    const what = `task ${change.taskId} was resumed at ${change.atMs}, and was to wait until ${change.resumeAfterMs}`;
    return [{ invariant: "V15" as const, what }];
  });
}

/** V16: what somebody has asked to cancel is given to nobody, until somebody asks to run it again. */
export function checkCancelled({ events }: Facts): readonly Violation[] {
  const plans = new Set<string>();
  const tasks = new Set<string>();
  return events.flatMap(({ kind, planId, taskId, attemptId }) => {
    if (kind === "PLAN_CANCEL_REQUESTED") plans.add(planId);
    if (kind === "TASK_CANCEL_REQUESTED" && taskId !== null) tasks.add(taskId);
    if (kind === "PLAN_RETRY_REQUESTED") plans.delete(planId);
    if ((kind === "TASK_RETRIED" || kind === "TASK_RESTORED") && taskId !== null) tasks.delete(taskId);
    if (kind !== "TASK_ASSIGNED" || taskId === null || !(plans.has(planId) || tasks.has(taskId))) return [];
    return [{ invariant: "V16" as const, what: `task ${taskId} was assigned (${attemptId}) after it was cancelled` }];
  });
}
