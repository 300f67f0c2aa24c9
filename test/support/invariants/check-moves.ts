import {
  ATTEMPT_TABLE,
  type AttemptState,
  isFinalTaskState,
  PAUSE_TABLE,
  type PauseState,
  TASK_TABLE,
  type TaskState,
} from "@headroom/scheduling";
import type { AttemptChange, Change, EventFact, Facts, PauseChange, TaskChange, Violation } from "./facts.ts";
import { isTaskState } from "./check-history.ts";
import { groupBy, pairs } from "./timeline.ts";

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

/** V2, the other half: what has ended stays so, unless somebody asks for it again. */
export function checkEndsOnce({ events, tasks }: Facts): readonly Violation[] {
  const violations: Violation[] = [];
  const told = groupBy(events, (event) => event.taskId);
  for (const { taskId, name } of tasks) {
    let ended: string | null = null;
    for (const { eventId, kind, from, to } of told.get(taskId) ?? []) {
      if (to === null || !isTaskState(to)) continue;
      if (ended !== null && isFinalTaskState(to)) {
        violations.push({
          invariant: "V2",
          what: `task ${name} (${taskId}) ended as ${ended}, and again as ${to} (event ${eventId}, ${kind}, from ${from ?? "nowhere"})`,
        });
      }
      ended = isFinalTaskState(to) ? to : null;
    }
  }
  return violations;
}
