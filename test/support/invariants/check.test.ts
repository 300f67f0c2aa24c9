import { describe, expect, it } from "vitest";
import { findViolations } from "./check.ts";
import { checkDelivered } from "./check-delivered.ts";
import { checkMassLoss } from "./check-mass-loss.ts";
import type { Change, Facts, Invariant } from "./facts.ts";
import { numbered, soundHistory } from "./sound-history.test-helper.ts";

const sound = soundHistory();
const found = (facts: Partial<Facts>): readonly Invariant[] => [
  ...new Set(findViolations({ ...sound, ...facts }, { waitBoundMs: 500 }).map(({ invariant }) => invariant)),
];

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
const isPromise = (id: string, state: string) => (change: Change) =>
  change.row === "reservation" && change.attemptId === id && change.state === state;

/** Each a history that is wrong in one way, with the numbers that must be found in it. */
const wrong: readonly (readonly [Invariant, string, Partial<Facts>])[] = [
  ["V1", "an accepted plan is not there", { accepted: [...sound.accepted, { planId: "lost", tasks: 1 }] }],
  ["V1", "a task of an accepted plan is not there", { tasks: sound.tasks.slice(1) }],
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
        (change) => (change.row === "agent" ? { ...change, atMs: -20_000, usable: false } : change),
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
];

describe("the checker of invariants", () => {
  it("finds nothing in a sound history", () => {
    expect(findViolations(sound, { waitBoundMs: 500 })).toEqual([]);
  });

  it.each(wrong)("%s: %s", (invariant, _what, facts) => {
    expect(found(facts)).toContain(invariant);
  });

  it("V19: finds what is accepted later than it should be, of what was given out since", () => {
    const at = (fromMs: number, boundMs: number) => checkDelivered(sound, fromMs, boundMs).map(({ what }) => what);
    expect(at(0, 10)).toEqual([]);
    expect(at(0, 9)).toHaveLength(2);
    expect(at(1_000, 9)).toHaveLength(1);
  });

  it("V17: finds agents that are given up together before the brake has held them for three graces, and those that it holds for ever", () => {
    const fleet = Array.from({ length: 12 }, (_, number) => `agent-${number}`);
    const machines = fleet.map((agentId) => ({ ...sound.machines[0]!, agentId }));
    const status = (agentId: string, atMs: number, to: "suspect" | "offline"): Change => {
      return { row: "agent", seq: 0, atMs, commit: `${atMs}`, agentId, usable: false, status: to };
    };
    /** Half of them fall silent 5 s after the others. */
    const kinds = (givenUpAtMs: number | null): readonly Invariant[] => {
      const suspicions = fleet.map((id, number) => status(id, number < 6 ? 0 : 5_000, "suspect"));
      const losses = givenUpAtMs === null ? [] : fleet.map((id) => status(id, givenUpAtMs, "offline"));
      const facts: Facts = {
        ...sound,
        machines,
        changes: numbered([...suspicions, ...losses]),
        outages: [],
        untilMs: 99_000,
      };
      return checkMassLoss(facts, { graceMs: 3_000, isQuiet: true }).map(({ invariant }) => invariant);
    };
    expect(kinds(8_000)).toContain("V17");
    expect(kinds(12_000)).toEqual([]);
    expect(kinds(null)).toHaveLength(12);
  });

  it("V18 counts on an agent for a moment after it was written down as gone, and not for longer", () => {
    const promised = sound.changes.find(isPromise("b1", "unconfirmed")) as Extract<Change, { row: "reservation" }>;
    const crowdedUntil = (freeAtMs: number, promisedAtMs: number, silences: Facts["silences"] = []) =>
      found({
        threshold: 0.2,
        silences,
        changes: numbered([
          ...sound.changes.filter(({ atMs }) => atMs <= 25),
          { row: "agent", seq: 0, atMs: 30_000, commit: "90", agentId: "agent", usable: true, status: "suspect" },
          { ...promised, attemptId: "a1", state: "released", atMs: freeAtMs },
          { ...promised, atMs: promisedAtMs },
        ]),
      });
    expect(crowdedUntil(30_100, 30_200)).not.toContain("V18");
    expect(crowdedUntil(35_900, 36_100)).not.toContain("V18");
    expect(crowdedUntil(36_100, 36_200)).toContain("V18");
    expect(crowdedUntil(30_100, 65_000)).not.toContain("V18");
    expect(crowdedUntil(30_100, 67_000)).toContain("V18");
    // Nor after the registry that could have told of it was heard again.
    expect(crowdedUntil(30_100, 67_000, [{ fromMs: 40_000, toMs: 60_000 }])).not.toContain("V18");
    expect(crowdedUntil(30_100, 92_000, [{ fromMs: 40_000, toMs: 60_000 }])).toContain("V18");
  });

  it("V12 is silent where nobody could place, where another one's turn it is, and where the task does not fit", () => {
    const late = sound.changes.map((change) =>
      change.atMs >= 1_010 ? { ...change, atMs: change.atMs + 1_000 } : change,
    );
    expect(found({ changes: late, outages: [{ fromMs: 900, toMs: 2_000 }] })).not.toContain("V12");
    expect(found({ changes: late, machines: sound.machines.map((one) => ({ ...one, memoryMib: 0 })) })).toContain(
      "V12",
    );
    expect(found({ changes: late, machines: sound.machines.map((one) => ({ ...one, cards: [] })) })).not.toContain(
      "V12",
    );
    const older: Change = {
      ...(sound.changes.find((change) => change.row === "pause") as Extract<Change, { row: "pause" }>),
      pauseQueueId: "older",
      taskId: "larger",
    };
    const larger = {
      ...sound.tasks[0]!,
      taskId: "larger",
      name: "larger",
      createdAtMs: 1,
      needs: { ...sound.tasks[0]!.needs, gpuCount: 2 },
    };
    const changes = [...late, older].toSorted((a, b) => a.atMs - b.atMs);
    expect(found({ changes, tasks: [...sound.tasks, larger] })).not.toContain("V12");
  });

  it("V24: what is held is not given out: of a plan at once, of the queue from a moment after", () => {
    const event = (eventId: number, kind: string) => ({
      ...sound.events[0]!,
      eventId,
      kind,
    });
    const [accepted, ...others] = sound.events;
    const held = [accepted!, event(90, "PLAN_HELD"), ...others];
    expect(found({ events: held })).toContain("V24");
    expect(found({ events: [accepted!, event(90, "PLAN_HELD"), event(91, "PLAN_RELEASED"), ...others] })).toEqual([]);
    expect(found({ events: [accepted!, event(90, "PLAN_HELD"), event(91, "PLAN_FAILED"), ...others] })).toEqual([]);
    const queue = (atMs: number, isHeld: boolean): Change => {
      return { row: "queue", seq: 0, atMs, commit: `queue ${atMs}`, held: isHeld };
    };
    const heldFrom = (atMs: number, ...more: readonly Change[]) =>
      found({ changes: numbered([queue(atMs, true), ...more, ...sound.changes]) });
    expect(heldFrom(-10_000)).toContain("V24");
    expect(heldFrom(-8_000)).toEqual([]);
    expect(heldFrom(-10_000, queue(-20, false))).toEqual([]);
  });

  it("V3: what has ended waits again only as often as the history says that somebody asked for it", () => {
    const ended = sound.changes.find((change) => change.row === "task" && change.state === "succeeded")!;
    const revived = [
      { ...ended, state: "failed", atMs: 2_100, commit: "90" },
      { ...ended, state: "paused", atMs: 2_200, commit: "91" },
    ] as readonly Change[];
    const changes = numbered([
      ...sound.changes.filter((change) => change !== ended),
      ...revived,
      { ...ended, state: "cancelled", atMs: 2_300, commit: "92" } as Change,
    ]);
    const retried = { ...sound.events[4]!, eventId: 90, kind: "TASK_RETRIED", from: "failed", to: "paused" };
    const ofV3 = (events: Facts["events"]) => found({ changes, events }).includes("V3");
    expect(ofV3(sound.events)).toBe(true);
    expect(ofV3([...sound.events, retried])).toBe(false);
    expect(ofV3([...sound.events, { ...retried, kind: "TASK_LOST" }])).toBe(true);
  });
});
