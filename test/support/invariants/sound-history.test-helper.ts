import { normalizeNeeds } from "@headroom/scheduling";
import type { Change, EventFact, Facts, ReservationChange } from "./facts.ts";

type WithoutSeq<T> = T extends unknown ? Omit<T, "seq"> : never;
type Told = Omit<EventFact, "eventId" | "planId">;

/**
 * A machine of two cores and one card; "first" runs at once, "second" has to wait for it. Both need the whole machine. Times are ms from
 * an arbitrary beginning.
 */
export function soundHistory(): Facts {
  const needs = normalizeNeeds({ cpuMillicores: 2_000, gpuVramMib: 1_000 });
  const amounts = {
    cpuMillicores: 2_000,
    memoryMib: 0,
    cards: [{ cardId: "card", vramMib: 1_000, exclusive: false }],
  };
  const task = { planId: "plan", priority: 0, rank: 0, createdAtMs: 10, needs, fence: 1, state: "succeeded" } as const;
  const policy = { maxAttempts: 3, retryOnFailure: false, holdUnknown: false, waitTimeoutMs: null } as const;
  const promise = (
    atMs: number,
    commit: string,
    attemptId: string,
    state: ReservationChange["state"],
  ): WithoutSeq<ReservationChange> => ({
    row: "reservation",
    atMs,
    commit,
    attemptId,
    agentId: "agent",
    state,
    fence: 1,
    amounts,
  });
  const changes: readonly WithoutSeq<Change>[] = [
    { row: "agent", atMs: 0, commit: "0", agentId: "agent", usable: true, unusableFor: [], status: "online" },
    { row: "task", atMs: 10, commit: "1", taskId: "first", state: "pending", fence: 1 },
    { row: "task", atMs: 10, commit: "1", taskId: "second", state: "pending", fence: 1 },
    promise(15, "2", "a1", "unconfirmed"),
    { row: "task", atMs: 20, commit: "3", taskId: "first", state: "assigned", fence: 1 },
    { row: "attempt", atMs: 20, commit: "3", attemptId: "a1", taskId: "first", state: "assigned", fence: 1 },
    { row: "task", atMs: 21, commit: "4", taskId: "second", state: "paused", fence: 1 },
    paused("waiting", 21, "4"),
    promise(25, "5", "a1", "confirmed"),
    { row: "task", atMs: 30, commit: "6", taskId: "first", state: "running", fence: 1 },
    { row: "attempt", atMs: 30, commit: "6", attemptId: "a1", taskId: "first", state: "running", fence: 1 },
    { row: "task", atMs: 1_000, commit: "7", taskId: "first", state: "succeeded", fence: 1 },
    { row: "attempt", atMs: 1_000, commit: "7", attemptId: "a1", taskId: "first", state: "succeeded", fence: 1 },
    promise(1_005, "8", "a1", "released"),
    promise(1_010, "9", "b1", "unconfirmed"),
    { row: "task", atMs: 1_020, commit: "10", taskId: "second", state: "assigned", fence: 1 },
    { row: "attempt", atMs: 1_020, commit: "10", attemptId: "b1", taskId: "second", state: "assigned", fence: 1 },
    paused("resumed", 1_020, "10"),
    { row: "task", atMs: 1_030, commit: "11", taskId: "second", state: "running", fence: 1 },
    { row: "attempt", atMs: 1_030, commit: "11", attemptId: "b1", taskId: "second", state: "running", fence: 1 },
    { row: "task", atMs: 2_000, commit: "12", taskId: "second", state: "succeeded", fence: 1 },
    { row: "attempt", atMs: 2_000, commit: "12", attemptId: "b1", taskId: "second", state: "succeeded", fence: 1 },
    promise(2_005, "13", "b1", "released"),
  ];
  const events: readonly Told[] = [
    { taskId: null, attemptId: null, kind: "PLAN_ACCEPTED", from: null, to: null },
    { taskId: "first", attemptId: "a1", kind: "TASK_ASSIGNED", from: "pending", to: "assigned" },
    { taskId: "second", attemptId: null, kind: "TASK_PAUSED", from: "pending", to: "paused" },
    { taskId: "first", attemptId: "a1", kind: "TASK_STARTED", from: "assigned", to: "running" },
    { taskId: "first", attemptId: "a1", kind: "TASK_SUCCEEDED", from: "running", to: "succeeded" },
    { taskId: "second", attemptId: "b1", kind: "TASK_ASSIGNED", from: "paused", to: "assigned" },
    { taskId: "second", attemptId: "b1", kind: "TASK_STARTED", from: "assigned", to: "running" },
    { taskId: "second", attemptId: "b1", kind: "TASK_SUCCEEDED", from: "running", to: "succeeded" },
    { taskId: null, attemptId: null, kind: "PLAN_SUCCEEDED", from: null, to: null },
  ];
  const run = { agentId: "agent", fences: [1], reserved: amounts, isAcked: true };
  const attempt = { agentId: "agent", number: 1, fence: 1, state: "succeeded", reason: "EXITED" } as const;
  return {
    plans: [{ planId: "plan", name: "a plan", totalTasks: 2, unfinishedTasks: 0, outcome: "succeeded" }],
    tasks: [
      { ...task, ...policy, taskId: "first", name: "first", attemptId: "a1", dependsOn: [] },
      { ...task, ...policy, taskId: "second", name: "second", attemptId: "b1", dependsOn: ["first"] },
    ],
    attempts: [
      { ...attempt, attemptId: "a1", taskId: "first" },
      { ...attempt, attemptId: "b1", taskId: "second" },
    ],
    pauses: [{ pauseQueueId: "q", taskId: "second", status: "resumed" }],
    events: events.map((event, index) => ({ ...event, eventId: index + 1, planId: "plan" })),
    changes: numbered(changes),
    machines: [
      {
        agentId: "agent",
        cpuMillicores: 2_000,
        memoryMib: 4_000,
        cards: [{ cardId: "card", vramMib: 1_500 }],
        labels: {},
      },
    ],
    runs: [
      {
        ...run,
        attemptId: "a1",
        taskId: "first",
        starts: [{ process: "11/x", atMs: 28 }],
        end: { atMs: 990, outcome: "exited", exitCode: 0, fence: 1 },
      },
      {
        ...run,
        attemptId: "b1",
        taskId: "second",
        starts: [{ process: "12/x", atMs: 1_028 }],
        end: { atMs: 1_990, outcome: "exited", exitCode: 0, fence: 1 },
      },
    ],
    accepted: [{ planId: "plan", tasks: 2, name: "a plan", mustSucceed: true }],
    isOver: true,
    outages: [],
    untilMs: 3_000,
  };
}

function paused(status: "waiting" | "resumed", atMs: number, commit: string): WithoutSeq<Change> {
  return {
    row: "pause",
    atMs,
    commit,
    pauseQueueId: "q",
    taskId: "second",
    status,
    pausedAtMs: 21,
    resumeAfterMs: null,
    blocked: false,
  };
}

/** Changes with their numbers, in the order given. */
export function numbered(changes: readonly WithoutSeq<Change>[]): readonly Change[] {
  return changes.map((change, index) => ({ ...change, seq: index + 1 }));
}
