/** Where a rule begins and ends: what is still right is not found, what is just beyond is. */
import { describe, expect, it } from "vitest";
import { checkDelivered } from "./check-delivered.ts";
import { checkMassLoss } from "./check-mass-loss.ts";
import { checkOrder } from "./check-order.ts";
import { checkWaitTimeouts } from "./check-wait-timeouts.ts";
import type { Change, Facts, Invariant } from "./facts.ts";
import { found, isPromise, sound } from "./findings.test-helper.ts";
import { numbered } from "./sound-history.test-helper.ts";

describe("the checker of invariants, at the bounds of its rules", () => {
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
      return {
        row: "agent",
        seq: 0,
        atMs,
        commit: `${atMs}`,
        agentId,
        usable: false,
        unusableFor: ["not online"],
        status: to,
      };
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
          {
            row: "agent",
            seq: 0,
            atMs: 30_000,
            commit: "90",
            agentId: "agent",
            usable: true,
            unusableFor: [],
            status: "suspect",
          },
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
    // It may not run here, so nothing is gathered for it here.
    const elsewhere = { ...larger, needs: { ...larger.needs, labels: { seat: "other" } } };
    expect(found({ changes, tasks: [...sound.tasks, elsewhere] })).toContain("V12");
    const here = sound.machines.map((one) => ({ ...one, labels: { seat: "other" } }));
    expect(found({ changes, tasks: [...sound.tasks, elsewhere], machines: here })).not.toContain("V12");
  });

  it("V15: what may wait for so long only is given up then, counted from when it could start", () => {
    const row = sound.changes.find((change) => change.row === "pause") as Extract<Change, { row: "pause" }>;
    const tasks = sound.tasks.map((task) => ({ ...task, waitTimeoutMs: 10_000 }));
    const waited = (
      endsAtMs: number,
      end: Partial<Extract<Change, { row: "pause" }>>,
      before: readonly (Partial<Extract<Change, { row: "pause" }>> & { atMs: number })[] = [],
      others: readonly Change[] = [],
    ) => {
      const own = [{ atMs: 1_000 }, ...before, { ...end, atMs: endsAtMs }].map((change): Change => ({
        ...row,
        ...change,
      }));
      const changes = numbered([...own, ...others].toSorted((one, other) => one.atMs - other.atMs));
      return checkWaitTimeouts({ ...sound, tasks, changes }).map(({ invariant }) => invariant);
    };
    expect(waited(11_000, { status: "failed" })).toEqual([]);
    expect(waited(10_900, { status: "failed" })).toEqual(["V15"]);
    expect(waited(10_900, { status: "resumed" })).toEqual([]);
    // It waited for a dependency, or for its time.
    const freed = [{ atMs: 1_000, blocked: true }, { atMs: 5_000 }];
    expect(waited(14_900, { status: "failed" }, freed)).toEqual(["V15"]);
    expect(waited(15_000, { status: "failed" }, freed)).toEqual([]);
    expect(waited(14_900, { status: "failed" }, [{ atMs: 1_000, resumeAfterMs: 5_000 }])).toEqual(["V15"]);
    expect(waited(170_000, { status: "failed" })).toEqual(["V15"]);
    expect(waited(170_000, { status: "resumed" })).toEqual(["V15"]);
    const hold: Change = { seq: 0, commit: "90", atMs: 2_000, row: "queue", held: true };
    expect(waited(170_000, { status: "resumed" }, [], [hold, { ...hold, atMs: 9_000, held: false }])).toEqual([]);
  });

  it("V32: of what needs the same nothing is given out before what comes before it, but for what somebody has claimed or waits for its time", () => {
    const row = sound.changes.find((change) => change.row === "pause") as Extract<Change, { row: "pause" }>;
    const earlier = { ...sound.tasks[0]!, taskId: "earlier", name: "earlier", rank: -1 };
    const claim: Change = { row: "task", seq: 0, commit: "91", atMs: 0, taskId: "earlier", state: "paused", fence: 2 };
    /** One waits from 0 on, and another one that needs the same is given out at `atMs`. */
    const overtaken = (atMs: number, more: readonly Change[] = [], change: object = {}, rank = -1) => {
      const waiting: Change = { ...row, atMs: 0, commit: "90", pauseQueueId: "earlier", taskId: "earlier", ...change };
      const attempt = {
        row: "attempt",
        seq: 0,
        atMs,
        commit: "99",
        attemptId: "c1",
        taskId: "second",
        fence: 2,
      } as const;
      const facts: Facts = {
        ...sound,
        tasks: [...sound.tasks, { ...earlier, rank }],
        changes: numbered([waiting, ...more, { ...attempt, state: "assigned" }]),
      };
      return checkOrder(facts, 20_000).map(({ invariant }) => invariant);
    };
    expect(overtaken(20_000)).toEqual(["V32"]);
    expect(overtaken(19_999)).toEqual([]);
    expect(overtaken(20_000, [], {}, 1)).toEqual([]);
    expect(overtaken(20_000, [], { blocked: true })).toEqual([]);
    expect(overtaken(29_999, [], { resumeAfterMs: 10_000 })).toEqual([]);
    expect(overtaken(30_000, [], { resumeAfterMs: 10_000 })).toEqual(["V32"]);
    expect(overtaken(29_999, [{ ...claim, atMs: 10_000 }])).toEqual([]);
    expect(overtaken(30_000, [{ ...claim, atMs: 10_000 }])).toEqual(["V32"]);
    const ended: Change = { ...row, atMs: 15_000, pauseQueueId: "earlier", taskId: "earlier", status: "resumed" };
    expect(overtaken(30_000, [ended])).toEqual([]);
  });

  it("V4: to ask for the end of what is assigned moves nothing", () => {
    const asked = { ...sound.events[1]!, eventId: 4, kind: "TASK_CANCEL_REQUESTED", from: "assigned" };
    const events = [...sound.events.slice(0, 3), asked, ...sound.events.slice(3)];
    expect(found({ events: events.map((event, index) => ({ ...event, eventId: index + 1 })) })).toEqual([]);
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
    const retried = [event(91, "PLAN_FAILED"), event(92, "PLAN_RETRY_REQUESTED")];
    expect(found({ events: [accepted!, event(90, "PLAN_HELD"), ...retried, ...others] })).toEqual([]);
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
