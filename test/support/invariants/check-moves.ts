import {
  ATTEMPT_TABLE,
  type AttemptState,
  isFinalTaskState,
  PAUSE_TABLE,
  type PauseState,
  TASK_STATES,
  TASK_TABLE,
  type TaskState,
} from "@headroom/scheduling";
import type { AttemptChange, Change, EventFact, Facts, PauseChange, TaskChange, Violation } from "./facts.ts";
import { groupBy, isSubsequence, pairs, withoutRepeats } from "./timeline.ts";

type Moves = ReadonlyMap<string, ReadonlySet<string>>;

/** From each state the states that some event leads to. A cell that begins with "!" leads nowhere. */
function movesOf(table: Readonly<Record<string, Readonly<Record<string, string>>>>): Moves {
  return new Map(
    Object.entries(table).map(([state, row]) => [
      state,
      new Set(Object.values(row).filter((cell) => !cell.startsWith("!"))),
    ]),
  );
}

const attemptMoves = movesOf(ATTEMPT_TABLE);
const pauseMoves = movesOf(PAUSE_TABLE);
const taskMoves = movesOf(TASK_TABLE);

/** States that a commit may pass through without showing them: promised and recorded at once, lost and queued at once. */
const passedThrough: readonly TaskState[] = ["reserved", "lost"];

function mayMove(moves: Moves, from: string, to: string): boolean {
  return from === to || moves.get(from)?.has(to) === true;
}

function taskMayMove(from: string, to: string): boolean {
  return (
    mayMove(taskMoves, from, to) ||
    passedThrough.some((between) => mayMove(taskMoves, from, between) && mayMove(taskMoves, between, to))
  );
}

const isAttempt = (change: Change): change is AttemptChange => change.row === "attempt";
const isPause = (change: Change): change is PauseChange => change.row === "pause";
const isTask = (change: Change): change is TaskChange => change.row === "task";

/** What has ended waits again when somebody asks for it, and the history says so. */
const revivals: Readonly<Record<string, string>> = { TASK_RETRIED: "failed", TASK_RESTORED: "cancelled" };

function isRevival({ kind, from, to }: EventFact): boolean {
  return from !== null && revivals[kind] === from && to === "paused";
}

/** V3: states move only along the tables of libs/scheduling. */
export function checkMoves({ changes, events }: Facts): readonly Violation[] {
  const violations: Violation[] = [];
  const found = (what: string): void => void violations.push({ invariant: "V3", what });
  const check = (what: string, states: readonly string[], may: (from: string, to: string) => boolean): void => {
    for (const [from, to] of pairs(states)) if (!may(from, to)) found(`${what} went from ${from} to ${to}`);
  };
  for (const [id, history] of groupBy(changes.filter(isAttempt), (change) => change.attemptId)) {
    const states: readonly AttemptState[] = history.map(({ state }) => state);
    check(`attempt ${id}`, ["assigned", ...states], (from, to) => mayMove(attemptMoves, from, to));
  }
  for (const [id, history] of groupBy(changes.filter(isPause), (change) => change.pauseQueueId)) {
    const states: readonly PauseState[] = history.map(({ status }) => status);
    check(`queue row ${id}`, ["waiting", ...states], (from, to) => mayMove(pauseMoves, from, to));
  }
  const revived = groupBy(events.filter(isRevival), (event) => event.taskId);
  for (const [id, history] of groupBy(changes.filter(isTask), (change) => change.taskId)) {
    let left = revived.get(id)?.length ?? 0;
    const mayBeRevived = (from: string, to: string): boolean => {
      if (to !== "paused" || (from !== "failed" && from !== "cancelled")) return false;
      left -= 1;
      return left >= 0;
    };
    const may = (from: string, to: string): boolean => taskMayMove(from, to) || mayBeRevived(from, to);
    check(`task ${id}`, ["pending", ...history.map(({ state }) => state)], may);
  }
  for (const event of events) {
    const { eventId, kind, from, to, taskId } = event;
    if (isRevival(event)) continue;
    if (taskId !== null && from !== null && to !== null && !taskMayMove(from, to)) {
      found(`event ${eventId} (${kind}) moves task ${taskId} from ${from} to ${to}`);
    }
  }
  return violations;
}

const isTaskState = (word: string): boolean => TASK_STATES.some((state) => state === word);

/** V4: the history tells of every move of a task, each event where the one before it ended. */
export function checkHistory({ tasks, changes, events }: Facts): readonly Violation[] {
  const violations: Violation[] = [];
  const found = (what: string): void => void violations.push({ invariant: "V4", what });
  const told = groupBy(events, (event) => event.taskId);
  const rows = groupBy(changes.filter(isTask), (change) => change.taskId);
  for (const { taskId, name, state } of tasks) {
    const moves = (told.get(taskId) ?? []).filter(
      ({ from, to }) => from !== null && to !== null && isTaskState(from) && isTaskState(to),
    );
    let at = "pending";
    for (const { eventId, kind, from, to } of moves) {
      if (from !== at)
        found(`event ${eventId} (${kind}) of task ${name} begins at ${from}; the one before ended at ${at}`);
      at = to ?? at;
    }
    if (at !== state) found(`the history of task ${name} (${taskId}) ends at ${at}; it is ${state}`);
    const seen = withoutRepeats(["pending", ...(rows.get(taskId) ?? []).map((change) => change.state)]);
    const history = withoutRepeats(["pending", ...moves.map(({ to }) => to ?? "")]);
    if (rows.has(taskId) && !isSubsequence(seen, history)) {
      found(`task ${name} (${taskId}) went ${seen.join(" → ")}; its history says ${history.join(" → ")}`);
    }
  }
  return violations;
}

/** V2, the other half: what has ended stays so, unless somebody asks for it again. */
export function checkEndsOnce({ events, tasks }: Facts): readonly Violation[] {
  const violations: Violation[] = [];
  const told = groupBy(events, (event) => event.taskId);
  for (const { taskId, name } of tasks) {
    let ended: string | null = null;
    for (const { eventId, kind, from, to } of told.get(taskId) ?? []) {
      if (to === null || !isTaskState(to)) continue;
      if (ended !== null && isFinalTaskState(to as TaskState)) {
        violations.push({
          invariant: "V2",
          what: `task ${name} (${taskId}) ended as ${ended}, and again as ${to} (event ${eventId}, ${kind}, from ${from ?? "nowhere"})`,
        });
      }
      ended = isFinalTaskState(to as TaskState) ? to : null;
    }
  }
  return violations;
}
