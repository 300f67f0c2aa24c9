import { isFinalAttemptState, isFinalTaskState, TASK_STATES, type TaskState } from "@headroom/scheduling";
import type { Change, Facts, TaskChange, Violation } from "./facts.ts";
import { groupBy, isSubsequence, withoutRepeats } from "./timeline.ts";

const isTask = (change: Change): change is TaskChange => change.row === "task";

export const isTaskState = (word: string | null): word is TaskState => TASK_STATES.some((state) => state === word);

/** V4: the history tells of every move of plans, tasks, attempts and queue rows, and is only ever added to. */
export function checkHistory(facts: Facts): readonly Violation[] {
  return [...ofTasks(facts), ...ofAttempts(facts), ...ofQueueRows(facts), ...ofPlans(facts), ...ofEvents(facts)].map(
    (what) => ({ invariant: "V4", what }),
  );
}

/** Each event begins where the one before it ended, and the last of them ends where the task is. */
function* ofTasks({ tasks, changes, events }: Facts): Generator<string> {
  const told = groupBy(events, (event) => event.taskId);
  const rows = groupBy(changes.filter(isTask), (change) => change.taskId);
  for (const { taskId, name, state } of tasks) {
    const moves = (told.get(taskId) ?? []).filter(({ from, to }) => isTaskState(from) && isTaskState(to));
    let at = "pending";
    for (const { eventId, kind, from, to } of moves) {
      if (from !== at)
        yield `event ${eventId} (${kind}) of task ${name} begins at ${from}; the one before ended at ${at}`;
      at = to ?? at;
    }
    if (at !== state) yield `the history of task ${name} (${taskId}) ends at ${at}; it is ${state}`;
    const seen = withoutRepeats(["pending", ...(rows.get(taskId) ?? []).map((change) => change.state)]);
    const history = withoutRepeats(["pending", ...moves.map(({ to }) => to ?? "")]);
    if (rows.has(taskId) && !isSubsequence(seen, history)) {
      yield `task ${name} (${taskId}) went ${seen.join(" → ")}; its history says ${history.join(" → ")}`;
    }
  }
}

/** An attempt is there, is assigned once, is told to run when it has run, and ends once: with its task, or by sending it back to the queue. */
function* ofAttempts({ attempts, changes, events }: Facts): Generator<string> {
  const told = groupBy(events, (event) => event.attemptId);
  const ran = new Set(
    changes.flatMap((change) => (change.row === "attempt" && change.state === "running" ? [change.attemptId] : [])),
  );
  const known = new Set(attempts.map(({ attemptId }) => attemptId));
  for (const { eventId, kind, attemptId } of events) {
    if (attemptId !== null && !known.has(attemptId)) {
      yield `event ${eventId} (${kind}) tells of attempt ${attemptId}, which is not there`;
    }
  }
  for (const { attemptId, state } of attempts) {
    const moves = (told.get(attemptId) ?? []).filter(({ from, to }) => isTaskState(to) && from !== to);
    const times = (is: (to: string) => boolean): number => moves.filter(({ to }) => to !== null && is(to)).length;
    const assigned = times((to) => to === "assigned");
    const ended = times((to) => to === "paused" || isFinalTaskState(to as TaskState));
    const hasEnded = isFinalAttemptState(state);
    if (assigned !== 1) yield `attempt ${attemptId} was told to be assigned ${assigned} times`;
    if (ended !== (hasEnded ? 1 : 0)) yield `attempt ${attemptId} is ${state}; its end was told ${ended} times`;
    if (ran.has(attemptId) && times((to) => to === "running") === 0) {
      yield `attempt ${attemptId} ran, and nothing tells of it`;
    }
  }
}

/** A task joins the queue by an event that pauses it, and leaves it by one that assigns or ends it. */
function* ofQueueRows({ pauses, tasks, events }: Facts): Generator<string> {
  const told = groupBy(events, (event) => event.taskId);
  const rows = groupBy(pauses, (row) => row.taskId);
  for (const { taskId, name } of tasks) {
    const moves = (told.get(taskId) ?? []).filter(
      ({ from, to }) => isTaskState(from) && isTaskState(to) && from !== to,
    );
    const own = rows.get(taskId) ?? [];
    const compare = (what: string, inTable: number, inHistory: number): string[] =>
      inTable === inHistory
        ? []
        : [`of task ${name} (${taskId}) ${inTable} queue rows ${what}, its history tells of ${inHistory}`];
    yield* compare("were made", own.length, moves.filter(({ to }) => to === "paused").length);
    yield* compare(
      "were resumed",
      own.filter(({ status }) => status === "resumed").length,
      moves.filter(({ from, to }) => from === "paused" && to === "assigned").length,
    );
    yield* compare(
      "ended in the queue",
      own.filter(({ status }) => status === "cancelled" || status === "failed").length,
      moves.filter(({ from, to }) => from === "paused" && to !== "assigned").length,
    );
  }
}

const planEnds: readonly string[] = ["PLAN_SUCCEEDED", "PLAN_FAILED", "PLAN_CANCELLED"];

/** A plan is accepted once, before all else, and ends as its row says, again only after somebody has asked for its tasks again. */
function* ofPlans({ plans, events }: Facts): Generator<string> {
  const told = groupBy(events, (event) => event.planId);
  for (const { planId, name, outcome } of plans) {
    const own = told.get(planId) ?? [];
    if (own[0]?.kind !== "PLAN_ACCEPTED" || own.filter(({ kind }) => kind === "PLAN_ACCEPTED").length !== 1) {
      yield `the history of plan ${name} (${planId}) does not begin with its being accepted, once`;
    }
    let at: string | null = null;
    for (const { eventId, kind } of own) {
      if (kind === "PLAN_RETRY_REQUESTED") at = null;
      if (!planEnds.includes(kind)) continue;
      if (at !== null) yield `plan ${name} (${planId}) ended by ${at}, and again by ${kind} (event ${eventId})`;
      at = kind;
    }
    const is = outcome === null ? null : `PLAN_${outcome.toUpperCase()}`;
    if (at !== is) yield `plan ${name} (${planId}) is ${outcome ?? "open"}; its history ends with ${at ?? "no end"}`;
  }
}

/** What was written once stays as it was, as long as its plan is kept. */
function* ofEvents({ plans, changes }: Facts): Generator<string> {
  const kept = new Map(plans.map(({ planId, trimmedThrough = 0 }) => [planId, trimmedThrough]));
  for (const change of changes) {
    if (change.row !== "event") continue;
    const { eventId, planId, gone } = change;
    if (!gone) yield `event ${eventId} of plan ${planId} was changed`;
    else if (eventId > (kept.get(planId) ?? Infinity)) yield `event ${eventId} of plan ${planId} was deleted`;
  }
}
