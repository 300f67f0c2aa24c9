import { isFinalAttemptState } from "@headroom/scheduling";
import type { Change, Facts, Violation } from "./facts.ts";
import { byCommit, groupBy, pairs } from "./timeline.ts";

function idOf(change: Change): string | null {
  switch (change.row) {
    case "task":
      return `task ${change.taskId}`;
    case "attempt":
      return `attempt ${change.attemptId}`;
    case "reservation":
      return `reservation ${change.attemptId}`;
    case "pause":
    case "agent":
    case "queue":
    case "event":
      return null;
  }
}

/**
 * V5: a fence only grows, wherever it is kept, each attempt of a task has a higher one than the attempt before, and room that was given
 * back is promised again under a higher one only.
 */
export function checkFences({ changes, attempts }: Facts): readonly Violation[] {
  const violations: Violation[] = [];
  const found = (what: string): void => void violations.push({ invariant: "V5", what });
  for (const [id, history] of groupBy(changes, idOf)) {
    if (id === null) continue;
    const fences = history.flatMap((change) =>
      !("fence" in change) || (change.row === "reservation" && change.state === "gone") ? [] : [change.fence],
    );
    for (const [before, after] of pairs(fences))
      if (after < before) found(`${id} fell from fence ${before} to ${after}`);
    for (const [before, after] of pairs(history)) {
      if (before.row !== "reservation" || after.row !== "reservation" || before.state !== "released") continue;
      const isPromised = after.state === "unconfirmed" || after.state === "hold";
      if (isPromised && after.fence <= before.fence)
        found(`${id} was given back and promised again under ${after.fence}`);
    }
  }
  for (const [taskId, own] of groupBy(attempts, (attempt) => attempt.taskId)) {
    const ordered = [...own].sort((a, b) => a.number - b.number);
    for (const [before, after] of pairs(ordered)) {
      if (after.fence <= before.fence) {
        found(
          `attempt ${after.number} of task ${taskId} has fence ${after.fence}, attempt ${before.number} ${before.fence}`,
        );
      }
    }
  }
  return violations;
}

/** V21: whoever takes over what is being placed asks for room with the same attempt id: what was promised to it is found, and not doubled. */
export function checkTakeovers({ changes }: Facts): readonly Violation[] {
  const ofTask = groupBy(
    changes.filter((change) => change.row === "task"),
    (change) => change.taskId,
  );
  return [...ofTask].flatMap(([taskId, history]) =>
    pairs(history).flatMap(([before, after]) => {
      const [was, is] = [before.placingAttemptId ?? null, after.placingAttemptId ?? null];
      if (was === null || is === null || was === is) return [];
      return [{ invariant: "V21" as const, what: `task ${taskId} was placed as ${was}, and taken over as ${is}` }];
    }),
  );
}

/** V6: at no time are two attempts of one task open. */
export function checkOneOpen({ changes, attempts }: Facts): readonly Violation[] {
  const violations: Violation[] = [];
  const found = (what: string): void => void violations.push({ invariant: "V6", what });
  const ofTask = groupBy(
    changes.filter((change) => change.row === "attempt"),
    (change) => change.taskId,
  );
  for (const [taskId, history] of ofTask) {
    const open = new Set<string>();
    for (const commit of byCommit(history)) {
      for (const { attemptId, state } of commit) {
        if (isFinalAttemptState(state)) open.delete(attemptId);
        else open.add(attemptId);
      }
      if (open.size > 1) found(`task ${taskId} had ${open.size} open attempts at once: ${[...open].join(", ")}`);
    }
  }
  const openNow = groupBy(
    attempts.filter((attempt) => !isFinalAttemptState(attempt.state)),
    (attempt) => attempt.taskId,
  );
  for (const [taskId, open] of openNow) if (open.length > 1) found(`task ${taskId} has ${open.length} open attempts`);
  return violations;
}

/** V9: what comes of an attempt that is no longer in force moves nothing. */
export function checkSuperseded({ events }: Facts): readonly Violation[] {
  const inForce = new Map<string, string>();
  const violations: Violation[] = [];
  for (const { eventId, taskId, attemptId, kind, to } of events) {
    if (taskId === null || attemptId === null) continue;
    if (to === "assigned") inForce.set(taskId, attemptId);
    const current = inForce.get(taskId);
    if (to !== null && current !== undefined && current !== attemptId) {
      violations.push({
        invariant: "V9",
        what: `event ${eventId} (${kind}) moves task ${taskId} to ${to} by attempt ${attemptId}; in force is ${current}`,
      });
    }
  }
  return violations;
}
