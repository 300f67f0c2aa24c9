import type { AttemptChange, EventFact, Facts, Violation } from "./facts.ts";

/** A hold of the queue is written some statements before it is committed; in a slow database these take their time. */
const committedWithinMs = 10_000;

/**
 * V24: nothing of a plan that is held is given to an agent, from the commit of its hold to that of its release; of the queue, nothing at all from a moment after its
 * hold was written.
 */
export function checkHeld(facts: Facts): readonly Violation[] {
  return [...checkHeldPlans(facts.events), ...checkHeldQueue(facts)];
}

const ended = new Set(["PLAN_SUCCEEDED", "PLAN_FAILED", "PLAN_CANCELLED"]);

/** A plan's events are numbered in the order of their commits. */
function checkHeldPlans(events: readonly EventFact[]): readonly Violation[] {
  const held = new Set<string>();
  return events.flatMap(({ kind, planId, taskId, attemptId }) => {
    if (kind === "PLAN_HELD") held.add(planId);
    // What has ended is held no more, and is not when it is tried again.
    if (kind === "PLAN_RELEASED" || ended.has(kind)) held.delete(planId);
    if (kind !== "TASK_ASSIGNED" || !held.has(planId)) return [];
    return [{ invariant: "V24" as const, what: `task ${taskId} was assigned (${attemptId}) while its plan was held` }];
  });
}

function checkHeldQueue({ changes }: Facts): readonly Violation[] {
  let heldFromMs: number | null = null;
  const known = new Set<string>();
  return changes.flatMap((change) => {
    if (change.row === "queue") heldFromMs = change.held ? (heldFromMs ?? change.atMs) : null;
    if (change.row !== "attempt" || known.has(change.attemptId)) return [];
    known.add(change.attemptId);
    if (heldFromMs === null || !isGivenOut(change) || change.atMs - heldFromMs <= committedWithinMs) return [];
    const what = `task ${change.taskId} was assigned (${change.attemptId}) at ${change.atMs}, and the queue was held from ${heldFromMs} on`;
    return [{ invariant: "V24" as const, what }];
  });
}

const isGivenOut = ({ state }: AttemptChange): boolean => state === "assigned";
