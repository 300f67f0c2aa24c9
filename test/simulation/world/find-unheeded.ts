import type { Facts, Violation } from "../../support/invariants/facts.ts";
import { groupBy } from "../../support/invariants/timeline.ts";
import type { Execution } from "./machine.ts";
import type { Acknowledged } from "./operator.ts";
import type { World } from "./world.ts";

/** A copy of the release of an earlier hold may come so late, and end this one. */
const lastCopyMs = 20_000;

/** So long after an agent hears of it, or can hear of it at last, what runs has been ended: cancellations are sent again every ten seconds. */
const endedWithinMs = 25_000;

/** V16 by what really ran: what was cancelled ends. `heardFromMs`: from then on every agent hears its orchestrators, by the world's clock. */
export function findUnended(
  { machines, engine, postgres }: Pick<World, "engine" | "postgres"> & { readonly machines: readonly Executing[] },
  acknowledged: readonly Acknowledged[],
  { events }: Pick<Facts, "events">,
  heardFromMs: number,
): readonly Violation[] {
  const aheadMs = postgres.nowMs - engine.wallMs;
  const revived = new Set(events.flatMap(({ kind, taskId }) => (kind === "TASK_RETRIED" ? [taskId] : [])));
  return acknowledged.flatMap((one) => {
    if (one.kind !== "cancelled" || revived.has(one.taskId)) return [];
    const byMs = Math.max(one.atMs - aheadMs, heardFromMs) + endedWithinMs;
    return machines
      .flatMap(({ name, executions }) => executions.map((execution) => ({ name, ...execution })))
      .filter(({ taskId, fromMs, toMs }) => taskId === one.taskId && fromMs < byMs && (toMs ?? engine.wallMs) > byMs)
      .map(({ name, attemptId, toMs }): Violation => {
        const what = `${attemptId} ran on ${name} until ${toMs}; that its task is cancelled was confirmed at ${one.atMs - aheadMs}`;
        return { invariant: "V16", what };
      });
  });
}

/** V27: what an operator was told is back has come back; once for each call, however often it was asked again. */
export function findUnretried(
  acknowledged: readonly Acknowledged[],
  { events }: Pick<Facts, "events">,
): readonly Violation[] {
  const told = groupBy(
    acknowledged.filter((one) => one.kind === "retried"),
    ({ planId }) => planId,
  );
  return [...told].flatMap(([planId, answers]): readonly Violation[] => {
    const said = answers.reduce((sum, { tasks }) => sum + tasks, 0);
    const back = events.filter((one) => one.planId === planId && ["TASK_RETRIED", "TASK_RESTORED"].includes(one.kind));
    if (back.length >= said) return [];
    const what = `that ${said} tasks of plan ${planId} are back was said, and ${back.length} are`;
    return [{ invariant: "V27", what }];
  });
}

/** What ran on a machine. */
interface Executing {
  readonly name: string;
  readonly executions: readonly Pick<Execution, "attemptId" | "taskId" | "fromMs" | "toMs">[];
}

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
      if (one.kind === "retried") return [];
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
