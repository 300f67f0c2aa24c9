import { wire } from "@headroom/contracts";
import { timeOf, word } from "../output/words.ts";

/** What is known of one task while its plan is watched. */
export interface TaskProgress {
  readonly taskId: string;
  readonly name: string;
  /** Word of its state: `paused`. */
  readonly state: string;
  /** Where it runs; empty where it does not. */
  readonly agentId: string;
  /** Since when it is in that state; null when unknown. */
  readonly sinceMs: number | null;
  /** Why it waits, or how it ended. */
  readonly why: string;
}

/** A plan as its events tell it. */
export interface PlanProgress {
  readonly tasks: ReadonlyMap<string, TaskProgress>;
  /** Word of the plan's status. */
  readonly status: string;
}

const onAgent: ReadonlySet<string> = new Set(["reserved", "assigned", "running"]);
/** States that have a reason; that a command succeeded needs none. */
const told: ReadonlySet<string> = new Set(["paused", "lost", "failed", "cancelled"]);
const ended: ReadonlySet<string> = new Set(["succeeded", "failed", "cancelled"]);

/** The beginning: a plan that was read, with its tasks. */
export function progressOf(plan: wire.Plan): PlanProgress {
  const tasks = plan.tasks.map((task): [string, TaskProgress] => {
    const state = word("TaskState", task.state);
    const attempt = task.attempts[0];
    const why = task.pause === undefined ? task.outcomeReason : pauseWhy(task.pause);
    return [
      task.taskId,
      {
        taskId: task.taskId,
        name: task.name,
        state,
        agentId: attempt !== undefined && (onAgent.has(state) || ended.has(state)) ? attempt.agentId : "",
        sinceMs:
          timeOf(task.finishedAt) ?? timeOf(task.pause?.pausedAt) ?? attemptSinceMs(attempt) ?? timeOf(task.createdAt),
        why: told.has(state) ? why : "",
      },
    ];
  });
  return { tasks: new Map(tasks), status: word("PlanStatus", plan.status) };
}

/** Since when a run is on its agent: from its start, before that from its assignment; null without a run. */
export function attemptSinceMs(attempt: wire.Attempt | undefined): number | null {
  return attempt === undefined ? null : (timeOf(attempt.startedAt) ?? timeOf(attempt.assignedAt));
}

/** The plan after one more event. */
export function afterEvent(progress: PlanProgress, message: wire.WatchPlanResponse): PlanProgress {
  const { event, plan } = message;
  const status = plan === undefined ? progress.status : word("PlanStatus", plan.status);
  if (event === undefined || event.taskId === "") return { ...progress, status };
  const before = progress.tasks.get(event.taskId);
  const state = event.toState === 0 ? (before?.state ?? "") : word("TaskState", event.toState);
  const changed = before?.state !== state;
  const agentId = event.agentId === "" ? (before?.agentId ?? "") : event.agentId;
  const task: TaskProgress = {
    taskId: event.taskId,
    name: event.taskName === "" ? (before?.name ?? event.taskId) : event.taskName,
    state,
    agentId: onAgent.has(state) || ended.has(state) ? agentId : "",
    sinceMs: changed ? timeOf(event.at) : (before?.sinceMs ?? timeOf(event.at)),
    why: told.has(state) ? eventWhy(event) : "",
  };
  return { status, tasks: new Map(progress.tasks).set(event.taskId, task) };
}

/**
 * The reasons of a later look at paused tasks put in. `before` is what was known when the look began: a task that an event has told of since
 * keeps what the event said, which is newer. The same object when nothing is new.
 */
export function withReasons(progress: PlanProgress, before: PlanProgress, read: readonly wire.Task[]): PlanProgress {
  const news = read.flatMap(({ taskId, pause }): [string, TaskProgress][] => {
    const task = progress.tasks.get(taskId);
    if (task === undefined || task !== before.tasks.get(taskId) || pause === undefined) return [];
    const why = pauseWhy(pause);
    return task.state !== "paused" || task.why === why ? [] : [[taskId, { ...task, why }]];
  });
  return news.length === 0 ? progress : { ...progress, tasks: new Map([...progress.tasks, ...news]) };
}

function pauseWhy(pause: wire.PauseInfo): string {
  return whyOf(word("PauseReason", pause.reason), pause.sentence);
}

/** Why, from an event: the reason's word and the sentence. */
export function eventWhy(event: wire.PlanEvent): string {
  return whyOf(word("PauseReason", event.pauseReason), event.sentence);
}

function whyOf(reason: string, sentence: string): string {
  if (reason === "") return sentence;
  return sentence === "" ? reason : `${reason}: ${sentence}`;
}

/** "2 succeeded, 3 running, 7 paused": states in the order of a task's life, none without a task. */
export function countsText(progress: PlanProgress): string {
  const counts = new Map<string, number>();
  for (const { state } of progress.tasks.values()) counts.set(state, (counts.get(state) ?? 0) + 1);
  const order = ["succeeded", "failed", "cancelled", "running", "assigned", "reserved", "pending", "paused", "lost"];
  const known = order.filter((state) => counts.has(state)).map((state) => `${counts.get(state)} ${state}`);
  return known.length === 0 ? "no tasks" : known.join(", ");
}

/** Whether some task waits. */
export function isWaiting(progress: PlanProgress): boolean {
  return [...progress.tasks.values()].some(
    ({ state }) => state === "paused" || state === "pending" || state === "lost",
  );
}
