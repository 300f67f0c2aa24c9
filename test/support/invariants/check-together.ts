import { isFinalAttemptState, isFinalTaskState, type TaskState } from "@headroom/scheduling";
import type { AttemptChange, Change, Facts, PauseChange, TaskChange, Violation } from "./facts.ts";
import { byCommit, groupBy } from "./timeline.ts";

type OwnChange = TaskChange | AttemptChange | PauseChange;

const hasTask = (change: Change): change is OwnChange =>
  change.row === "task" || change.row === "attempt" || change.row === "pause";

interface Standing {
  /** Null: nothing is known of it yet. */
  state: TaskState | null;
  readonly waiting: Set<string>;
  readonly open: Set<string>;
}

/**
 * V23: what belongs together is committed together. A task that is paused has one row that waits in the queue, one that is assigned or runs has one open
 * attempt and waits no more, one that has ended has neither; after each commit.
 */
export function checkTogether({ changes }: Facts): readonly Violation[] {
  const violations: Violation[] = [];
  for (const [taskId, own] of groupBy(changes.filter(hasTask), (change) => change.taskId)) {
    const standing: Standing = { state: null, waiting: new Set(), open: new Set() };
    for (const commit of byCommit(own)) {
      for (const change of commit) apply(standing, change);
      const problem = problemOf(standing);
      if (problem === null) continue;
      violations.push({ invariant: "V23", what: `at ${commit.at(-1)?.atMs} task ${taskId} was ${problem}` });
    }
  }
  return violations;
}

function apply(standing: Standing, change: OwnChange): void {
  if (change.row === "task") standing.state = change.state;
  else if (change.row === "attempt") keep(standing.open, change.attemptId, !isFinalAttemptState(change.state));
  else keep(standing.waiting, change.pauseQueueId, change.status === "waiting");
}

function keep(ids: Set<string>, id: string, isThere: boolean): void {
  if (isThere) ids.add(id);
  else ids.delete(id);
}

function problemOf({ state, waiting, open }: Standing): string | null {
  const isOut = state === "assigned" || state === "running";
  const hasEnded = state !== null && isFinalTaskState(state);
  if (state === "paused" && waiting.size !== 1) return `paused, with ${waiting.size} rows that wait in the queue`;
  if ((isOut || hasEnded) && waiting.size > 0) return `${state}, and waited in the queue`;
  if (isOut && open.size !== 1) return `${state}, with ${open.size} open attempts`;
  if (hasEnded && open.size > 0) return `${state}, with an open attempt`;
  return null;
}
