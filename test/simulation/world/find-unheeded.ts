import type { Facts, Violation } from "../../support/invariants/facts.ts";
import type { Acknowledged } from "./operator.ts";

/** A copy of the release of an earlier hold may come so late, and end this one. */
const lastCopyMs = 20_000;

/**
 * V16 and V24 by what the operator was told, whatever the database says of it afterwards: what was cancelled is given to nobody unless it is retried, and nothing of
 * a plan whose hold was confirmed until its release is asked for.
 */
export function findUnheeded(acknowledged: readonly Acknowledged[], facts: Facts): readonly Violation[] {
  const planOf = new Map(facts.tasks.map(({ taskId, planId }) => [taskId, planId]));
  const revived = new Set(facts.events.flatMap(({ kind, taskId }) => (kind === "TASK_RETRIED" ? [taskId] : [])));
  const retried = new Set(
    facts.events.flatMap(({ kind, planId }) => (kind === "PLAN_RETRY_REQUESTED" ? [planId] : [])),
  );
  const given = facts.changes.flatMap((change) =>
    change.row === "attempt" && change.state === "assigned" ? [change] : [],
  );
  const first = new Map(given.toReversed().map((change) => [change.attemptId, change]));
  return [...first.values()].flatMap(({ taskId, attemptId, atMs }) =>
    acknowledged.flatMap((one): readonly Violation[] => {
      if (one.kind === "cancelled") {
        if (one.taskId !== taskId || atMs <= one.atMs || revived.has(taskId)) return [];
        const what = `task ${taskId} was assigned (${attemptId}) at ${atMs}; that it is cancelled was confirmed at ${one.atMs}`;
        return [{ invariant: "V16", what }];
      }
      if (one.planId !== planOf.get(taskId) || atMs <= one.atMs || atMs >= one.untilMs) return [];
      // It may have ended while it was held, which ends the hold.
      if (retried.has(one.planId)) return [];
      const mayBeCopy = acknowledged.some(
        (other) =>
          other.kind === "held" &&
          other !== one &&
          other.planId === one.planId &&
          other.untilMs < one.untilMs &&
          one.atMs - other.untilMs < 3 * lastCopyMs,
      );
      if (mayBeCopy) return [];
      const what = `task ${taskId} was assigned (${attemptId}) at ${atMs}; that its plan is held was confirmed at ${one.atMs}`;
      return [{ invariant: "V24", what }];
    }),
  );
}
