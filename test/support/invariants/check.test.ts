import { describe, expect, it } from "vitest";
import { findViolations } from "./check.ts";
import type { AttemptFact, Change, EventFact, Facts, Invariant } from "./facts.ts";
import { found, isPromise, sound } from "./findings.test-helper.ts";
import { numbered } from "./sound-history.test-helper.ts";

/** The same history, with one row as `edit` makes it. */
function edited<T>(items: readonly T[], which: (item: T) => boolean, edit: (item: T) => T | null): readonly T[] {
  expect(items.some(which), "the row to edit is there").toBe(true);
  return items.flatMap((item) => {
    if (!which(item)) return [item];
    const now = edit(item);
    return now === null ? [] : [now];
  });
}

const isAttempt = (id: string, state: string) => (change: Change) =>
  change.row === "attempt" && change.attemptId === id && change.state === state;
const isWaiting = (change: Change): boolean => change.row === "pause" && change.status === "waiting";

const withEvent = (id: number, change: Partial<EventFact>): readonly EventFact[] =>
  edited(
    sound.events,
    ({ eventId }) => eventId === id,
    (event) => ({ ...event, ...change }),
  );
const historyChange = (eventId: number, gone: boolean): Change => ({
  row: "event",
  seq: 99,
  commit: "99",
  atMs: 2_500,
  eventId,
  planId: "plan",
  gone,
});

type Run = Pick<AttemptFact, "state" | "reason">;

const times = (count: number, run: Run): readonly Run[] => Array.from({ length: count }, () => run);

/** The second task has failed, after these runs. */
function failed(runs: readonly Run[]): Partial<Facts> {
  const [first, second] = sound.attempts;
  return {
    tasks: sound.tasks.map((task) => (task.name === "second" ? { ...task, state: "failed" } : task)),
    attempts: [
      first!,
      ...runs.map((run, index) => ({ ...second!, ...run, attemptId: `b${index + 1}`, number: index + 1 })),
    ],
    runs: sound.runs.slice(0, 1),
    accepted: [],
  };
}

/** Each a history that is wrong in one way, with the numbers that must be found in it. */
const wrong: readonly (readonly [Invariant, string, Partial<Facts>])[] = [
  ["V1", "an accepted plan is not there", { accepted: [...sound.accepted, { planId: "lost", tasks: 1 }] }],
  ["V1", "a task of an accepted plan is not there", { tasks: sound.tasks.slice(1) }],
  [
    "V1",
    "a plan that was asked for twice is there twice",
    { plans: [...sound.plans, { ...sound.plans[0]!, planId: "again", totalTasks: 0 }] },
  ],
  [
    "V2",
    "a task never ends",
    {
      tasks: edited(
        sound.tasks,
        ({ name }) => name === "second",
        (task) => ({ ...task, state: "running" }),
      ),
    },
  ],
  ["V2", "a plan outlives its tasks", { plans: sound.plans.map((plan) => ({ ...plan, outcome: null })) }],
  ["V2", "a queue row outlives its task", { pauses: sound.pauses.map((row) => ({ ...row, status: "waiting" })) }],
  ["V2", "a task ends twice", { events: [...sound.events, { ...sound.events[4]!, eventId: 99, from: "succeeded" }] }],
  [
    "V3",
    "a given-up attempt succeeds",
    {
      changes: edited(sound.changes, isAttempt("a1", "running"), (change) =>
        change.row === "attempt" ? { ...change, state: "lost" } : change,
      ),
    },
  ],
  [
    "V3",
    "a resumed queue row waits again",
    {
      changes: numbered([
        ...sound.changes,
        ...sound.changes.filter((c) => c.row === "pause" && c.status === "waiting"),
      ]),
    },
  ],
  ["V4", "a move is not told", { events: sound.events.filter(({ eventId }) => eventId !== 4) }],
  ["V4", "the end of an attempt is told as another one's", { events: withEvent(5, { attemptId: "other" }) }],
  [
    "V4",
    "an attempt is told to be assigned, and is not there",
    { attempts: sound.attempts.slice(0, 1), runs: sound.runs.slice(0, 1) },
  ],
  ["V4", "a row of the queue is not told", { pauses: [...sound.pauses, { ...sound.pauses[0]!, pauseQueueId: "q2" }] }],
  ["V4", "a plan is told to be accepted twice", { events: [...sound.events, { ...sound.events[0]!, eventId: 10 }] }],
  ["V4", "the end of a plan is not told", { events: sound.events.filter(({ kind }) => kind !== "PLAN_SUCCEEDED") }],
  ["V4", "a plan is told to end twice", { events: [...sound.events, { ...sound.events.at(-1)!, eventId: 10 }] }],
  ["V4", "what was told is changed", { changes: [...sound.changes, historyChange(4, false)] }],
  ["V4", "what was told is deleted", { changes: [...sound.changes, historyChange(4, true)] }],
  [
    "V5",
    "a fence falls",
    {
      changes: edited(sound.changes, isPromise("a1", "released"), (change) =>
        change.row === "reservation" ? { ...change, fence: 0 } : change,
      ),
    },
  ],
  [
    "V5",
    "room that was given back is promised again by a late copy",
    {
      changes: numbered([
        ...sound.changes,
        {
          ...(sound.changes.find(isPromise("b1", "unconfirmed")) as Extract<Change, { row: "reservation" }>),
          atMs: 2_900,
        },
      ]),
    },
  ],
  [
    "V6",
    "a second attempt begins while the first is open",
    {
      changes: edited(sound.changes, isAttempt("b1", "assigned"), (change) =>
        change.row === "attempt" ? { ...change, taskId: "first", atMs: 40 } : change,
      ).toSorted((a, b) => a.atMs - b.atMs),
    },
  ],
  [
    "V7",
    "one attempt is started twice",
    { runs: sound.runs.map((run) => ({ ...run, starts: [...run.starts, { process: "99/y", atMs: 50 }] })) },
  ],
  ["V7", "what was never assigned runs", { attempts: sound.attempts.slice(1) }],
  ["V7", "another agent runs it", { runs: sound.runs.map((run) => ({ ...run, agentId: "other" })) }],
  ["V7", "it runs under a fence that nobody gave", { runs: sound.runs.map((run) => ({ ...run, fences: [1, 2] })) }],
  [
    "V8",
    "two runs of a task overlap",
    { runs: sound.runs.map((run) => ({ ...run, taskId: "first", starts: [{ process: run.attemptId, atMs: 500 }] })) },
  ],
  [
    "V8",
    "two runs of a task count",
    { attempts: sound.attempts.map((one, n) => ({ ...one, taskId: "first", number: n + 1 })) },
  ],
  [
    "V9",
    "a superseded attempt moves its task",
    {
      events: edited(
        sound.events,
        ({ eventId }) => eventId === 5,
        (event) => ({ ...event, attemptId: "a0" }),
      ),
    },
  ],
  [
    "V9",
    "a result is counted that no agent saw",
    { runs: sound.runs.map((run) => ({ ...run, end: { atMs: 1, outcome: "exited", exitCode: 1, fence: 1 } })) },
  ],
  ["V10", "room is promised twice", { changes: edited(sound.changes, isPromise("a1", "released"), () => null) }],
  [
    "V10",
    "a card is promised beyond its memory",
    { machines: sound.machines.map((one) => ({ ...one, cards: [{ cardId: "card", vramMib: 999 }] })) },
  ],
  [
    "V11",
    "more runs on a machine than it has",
    { runs: sound.runs.map((run) => ({ ...run, starts: [{ process: run.attemptId, atMs: 500 }] })) },
  ],
  [
    "V12",
    "the room comes back and nobody takes it",
    {
      changes: sound.changes.map((change) =>
        change.atMs >= 1_010 ? { ...change, atMs: change.atMs + 1_000 } : change,
      ),
    },
  ],
  [
    "V13",
    "room is kept for what has ended",
    { changes: edited(sound.changes, isPromise("b1", "released"), () => null) },
  ],
  [
    "V14",
    "a machine that takes no work is promised",
    {
      changes: edited(
        sound.changes,
        (change) => change.row === "agent",
        (change) =>
          change.row === "agent" ? { ...change, atMs: -20_000, usable: false, unusableFor: ["not attached"] } : change,
      ),
    },
  ],
  [
    "V15",
    "a task is resumed before its time",
    {
      changes: edited(
        sound.changes,
        (change) => change.row === "pause" && change.status === "resumed",
        (change) => (change.row === "pause" ? { ...change, resumeAfterMs: 1_500 } : change),
      ),
    },
  ],
  [
    "V14",
    "a task is given to a machine without the labels that it asks for",
    { tasks: sound.tasks.map((task) => ({ ...task, needs: { ...task.needs, labels: { seat: "other" } } })) },
  ],
  [
    "V16",
    "a task of a cancelled plan is assigned",
    {
      events: sound.events.map((event) =>
        event.kind === "TASK_PAUSED"
          ? { ...event, taskId: null, kind: "PLAN_CANCEL_REQUESTED", from: null, to: null }
          : event.taskId === "second" && event.kind === "TASK_ASSIGNED"
            ? { ...event, from: "pending" }
            : event,
      ),
    },
  ],
  [
    "V18",
    "room is given out while nobody is above the threshold",
    {
      threshold: 0.2,
      changes: numbered([
        ...sound.changes.filter(({ atMs }) => atMs <= 25),
        {
          ...(sound.changes.find(isPromise("b1", "unconfirmed")) as Extract<Change, { row: "reservation" }>),
          atMs: 40_000,
          amounts: { cpuMillicores: 0, memoryMib: 0, cards: [] },
        },
      ]),
    },
  ],
  [
    "V18",
    "a card is given out while nobody is above the threshold in VRAM",
    {
      threshold: 0.4,
      // Half of its cores are free, and a third of its card.
      machines: sound.machines.map((machine) => ({ ...machine, cpuMillicores: 4_000 })),
      changes: numbered([
        ...sound.changes.filter(({ atMs }) => atMs <= 25),
        {
          ...(sound.changes.find(isPromise("b1", "unconfirmed")) as Extract<Change, { row: "reservation" }>),
          atMs: 40_000,
          amounts: { cpuMillicores: 0, memoryMib: 0, cards: [{ cardId: "card", vramMib: 1, exclusive: false }] },
        },
      ]),
    },
  ],
  [
    "V20",
    "room is given up while the command runs",
    {
      changes: numbered(
        sound.changes
          .map((change) => (isPromise("a1", "released")(change) ? { ...change, atMs: 500 } : change))
          .toSorted((a, b) => a.atMs - b.atMs),
      ),
      runs: sound.runs.map((run) => ({ ...run, end: { ...run.end!, atMs: 9_000 } })),
    },
  ],
  [
    "V20",
    "room is given up before its agent has confirmed it, its lease is over, or the command has ended",
    {
      changes: numbered(
        sound.changes
          .filter((change) => !isPromise("a1", "confirmed")(change))
          .map((change) => (isPromise("a1", "unconfirmed")(change) ? { ...change, leaseExpiresAtMs: 30_000 } : change))
          .map((change) => (isPromise("a1", "released")(change) ? { ...change, atMs: 500 } : change))
          .toSorted((a, b) => a.atMs - b.atMs),
      ),
      runs: sound.runs.map((run) => ({ ...run, end: { ...run.end!, atMs: 9_000 } })),
    },
  ],
  [
    "V21",
    "a takeover asks for room as somebody else",
    {
      changes: numbered([
        ...sound.changes,
        ...["x1", "x2"].map((placingAttemptId, n): Change => ({
          row: "task",
          seq: 0,
          atMs: 2_100 + n,
          commit: `${90 + n}`,
          taskId: "second",
          state: "succeeded",
          fence: 2 + n,
          placingAttemptId,
        })),
      ]),
    },
  ],
  [
    "V23",
    "a task is paused before its row is in the queue",
    { changes: edited(sound.changes, isWaiting, (change) => ({ ...change, commit: "4 and a half" })) },
  ],
  [
    "V23",
    "a task that was given out waits in the queue for another commit",
    {
      changes: edited(
        sound.changes,
        (change) => change.row === "pause" && change.status === "resumed",
        (change) => ({ ...change, commit: "10 and a half" }),
      ),
    },
  ],
  [
    "V23",
    "a task is given out without an attempt",
    { changes: edited(sound.changes, isAttempt("b1", "assigned"), () => null) },
  ],
  [
    "V27",
    "a result that is durable is lost",
    { attempts: sound.attempts.map((one) => (one.attemptId === "a1" ? { ...one, state: "lost" } : one)) },
  ],
  [
    "V29",
    "a command that ended with 0 counts as failed",
    { attempts: sound.attempts.map((one) => (one.attemptId === "a1" ? { ...one, state: "failed" } : one)) },
  ],
  [
    "V29",
    "what nothing makes fail does not succeed",
    { plans: sound.plans.map((one) => ({ ...one, outcome: "failed" })) },
  ],
  ["V29", "a task fails that never ran", failed([])],
  ["V29", "a task fails whose run was lost, with runs left", failed([{ state: "lost", reason: "LEASE_EXPIRED" }])],
  ["V29", "a task fails that its owner's machine gave back", failed(times(3, { state: "failed", reason: "EVICTED" }))],
  [
    "V30",
    "a task is given out before what it depends on",
    { tasks: sound.tasks.map((one) => ({ ...one, dependsOn: ["second"] })) },
  ],
];

describe("the checker of invariants", () => {
  it("finds nothing in a sound history", () => {
    expect(findViolations(sound, { waitBoundMs: 500 })).toEqual([]);
  });

  it("V14: a machine that is drained in the moment in which it is attached may be promised until that is told", () => {
    const unusable = (atMs: number, reason: string): Change => {
      const [first] = sound.changes;
      if (first?.row !== "agent") throw new Error("the first change is of the agent");
      return { ...first, atMs, usable: false, unusableFor: [reason] };
    };
    const after = (...last: readonly Change[]) => ({
      changes: numbered([unusable(-20_000, "not attached"), ...sound.changes.slice(1), ...last]),
    });
    expect(found(after())).toEqual(["V14"]);
    expect(found(after(unusable(2_000, "draining")))).toEqual([]);
    expect(found(after(unusable(2_000, "not attached")))).toEqual(["V14"]);
  });

  it("V29: what was asked to end and then ended with 0 has not succeeded", () => {
    const endedAs = (reason: string): boolean =>
      found({
        attempts: sound.attempts.map((one) => (one.attemptId === "a1" ? { ...one, state: "failed", reason } : one)),
      }).includes("V29");
    expect(["EVICTED", "LEASE_EXPIRED", "TIMED_OUT", "CANCELLED"].some(endedAs)).toBe(false);
    expect(endedAs("SIGNALED")).toBe(true);
  });

  it("V29: a task may fail when its runs are used up, or when its command failed and is not to be tried again", () => {
    const only = (runs: readonly Run[]): boolean => !found(failed(runs)).includes("V29");
    expect(only([{ state: "failed", reason: "EXITED" }])).toBe(true);
    expect(only(times(3, { state: "lost", reason: "LEASE_EXPIRED" }))).toBe(true);
    expect(only(times(2, { state: "lost", reason: "LEASE_EXPIRED" }))).toBe(false);
  });

  it.each(wrong)("%s: %s", (invariant, _what, facts) => {
    expect(found(facts)).toContain(invariant);
  });
});
