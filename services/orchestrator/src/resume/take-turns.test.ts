import type { Timers } from "@headroom/runtime";
import { normalizeNeeds } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import type { Placed } from "../placing/placer.ts";
import type { ClaimedTask, QueueHead } from "../store/model.ts";
import { createRefusals } from "./refusals.ts";
import { roomOf } from "./room-of.test-helper.ts";
import { takeTurns, type TurnOptions } from "./take-turns.ts";

const needs = normalizeNeeds({ cpuMillicores: 1_000 });
const head: QueueHead = {
  shapeKey: "shape",
  taskId: "task",
  planId: "plan",
  taskName: "task",
  rank: 1,
  usesGpu: false,
  needs,
  expectedDurationMs: null,
  waitedMs: 0,
};
const claimed: ClaimedTask = {
  taskId: "task",
  planId: "plan",
  taskName: "task",
  state: "paused",
  needs,
  shapeKey: "shape",
  priority: 0,
  rank: 1,
  pausedAtMs: 0,
  expectedDurationMs: null,
  attemptId: "attempt",
  mayHoldRoom: false,
  fence: 1,
};

const assignment: Placed["assigned"][number] = {
  attemptId: "attempt",
  fence: 1,
  taskId: "task",
  planId: "plan",
  taskName: "task",
  agentId: "agent",
  command: { argv: [], env: {}, workingDir: "" },
  amounts: { cpuMillicores: 1_000, memoryMib: 0, cards: [] },
  cardIndexes: [],
  runTimeoutMs: null,
  workLeaseMs: 1,
  acceptWithinMs: 1,
  cancelRequested: false,
};
const nothing: Placed = {
  assigned: [],
  parked: [],
  shapesWithoutRoom: new Map(),
  refusedAlone: new Map(),
  revision: { instance: "watched", counter: 7 },
  registryAway: false,
};
const refused = (isForNow: boolean): Placed["shapesWithoutRoom"] =>
  new Map([["shape", { reason: "NO_AGENT_FITS_NOW", sentence: "", isForNow }]]);

/** What is to wait is done as soon as may be. */
const atOnce: Timers = {
  after(_delayMs, run) {
    setImmediate(run);
    return { cancel: () => undefined };
  },
};

/** A queue with as many tasks of the shape as are asked for. */
function turnOptions(fleet: TurnOptions["fleet"], place: (tasks: readonly ClaimedTask[]) => Placed): TurnOptions {
  return {
    store: {
      claimWaiting: ({ shapes }) =>
        Promise.resolve(shapes.flatMap(({ limit }) => Array.from({ length: limit }, (): ClaimedTask => claimed))),
      queueRanks: () => Promise.reject(new Error("there is one shape")),
    },
    fleet,
    placer: { place: (tasks) => Promise.resolve(place(tasks)), lockedPlans: () => Promise.resolve(new Set()) },
    refusals: createRefusals(fleet),
    kept: { avoidedBy: () => new Set() },
    avoided: { current: () => new Set() },
    stamper: { stamp: () => Promise.resolve() },
    claimer: { owner: "this", leaseMs: 30_000 },
    claimEnds: { note: () => undefined },
    timers: atOnce,
    tell: () => undefined,
    maxRounds: 10,
  };
}

async function turnsOf(options: TurnOptions): ReturnType<typeof takeTurns> {
  const { signal } = new AbortController();
  return takeTurns(options, { planId: null, cause: "test", thorough: false, signal }, [head], new Set());
}

async function pass(options: TurnOptions): Promise<number> {
  return (await turnsOf(options)).resumed;
}

/** Passes with room for one task, which the registry refuses: how often was it asked? */
async function askedIn(passes: number, isForNow: boolean): Promise<number> {
  let asked = 0;
  const options = turnOptions({ ...roomOf(() => 1), roomSince: () => false }, () => {
    asked += 1;
    return { ...nothing, shapesWithoutRoom: refused(isForNow) };
  });
  for (let count = 0; count < passes; count += 1) await pass(options);
  return asked;
}

/** One pass with room for so many, all of which a registry that is behind refuses at first: how many were placed? */
async function placedAfterRefusal(room: number): Promise<number> {
  let asked = 0;
  let placed = 0;
  const fleet: TurnOptions["fleet"] = {
    ...roomOf(() => room - placed),
    roomSince: ({ instance }) => instance !== "watched",
  };
  const options = turnOptions(fleet, (tasks) => {
    asked += 1;
    if (asked === 1)
      return { ...nothing, shapesWithoutRoom: refused(false), revision: { instance: "behind", counter: 7 } };
    const fitting = tasks.slice(0, room - placed);
    placed += fitting.length;
    return {
      ...nothing,
      assigned: fitting.map(() => assignment),
      ...(fitting.length < tasks.length && { shapesWithoutRoom: refused(false) }),
    };
  });
  expect(await pass(options)).toBe(placed);
  return placed;
}

describe("a shape that was refused", () => {
  it.each([
    ["NO_AGENT_FITS_NOW", true],
    // Others are set aside by their owners or lack their stream: on those that are not, it may be too large for what is free.
    ["ALL_CORDONED", true],
    ["AGENT_NOT_ATTACHED", true],
    ["NO_AGENT_CAN_EVER_FIT", false],
  ] as const)("with %s may have room kept for it: %s", async (reason, mayBeKept) => {
    const options = turnOptions({ ...roomOf(() => 1), roomSince: () => false }, () => ({
      ...nothing,
      shapesWithoutRoom: new Map([["shape", { reason, sentence: "", isForNow: false }]]),
    }));
    expect((await turnsOf(options)).refused).toEqual(mayBeKept ? [head] : []);
  });

  it("is not asked for again until room appears", async () => {
    expect(await askedIn(3, false)).toBe(1);
  });

  it("is asked for again when the refusal left agents out: their time ends without that any room appears", async () => {
    expect(await askedIn(3, true)).toBe(3);
  });

  it("is left to a later pass when a registry that is behind goes on refusing it", async () => {
    let asked = 0;
    const fleet: TurnOptions["fleet"] = { ...roomOf(() => 3), roomSince: () => true };
    const options = turnOptions(fleet, () => {
      asked += 1;
      return { ...nothing, shapesWithoutRoom: refused(false), revision: { instance: "behind", counter: 7 } };
    });
    const turns = await turnsOf({ ...options, maxRounds: 1_000 });
    expect(turns).toMatchObject({ resumed: 0, endedAt: "done", isRefusedInVain: true });
    expect(asked).toBe(6);
  });

  it("is asked for as often as there is room, when a registry that was behind has refused some of it", async () => {
    expect(await placedAfterRefusal(2)).toBe(2);
    expect(await placedAfterRefusal(5)).toBe(5);
  });
});

describe("tasks that the registry refuses by themselves", () => {
  /** A pass with room for one, before which so many stand that are refused: what was started, and how many were asked for. */
  async function passBehind(refusedTasks: number): Promise<readonly [resumed: number, asked: number]> {
    let asked = 0;
    const options = turnOptions({ ...roomOf(() => 1), roomSince: () => false }, (tasks) => {
      asked += tasks.length;
      return asked > refusedTasks
        ? { ...nothing, assigned: [assignment] }
        : { ...nothing, refusedAlone: new Map([["shape", tasks.length]]) };
    });
    return [await pass({ ...options, maxRounds: 1_000 }), asked];
  }

  it("R-PAUSE-6: take the turn of none behind them", async () => {
    expect(await passBehind(1)).toEqual([1, 2]);
    expect(await passBehind(20)).toEqual([1, 21]);
  });

  it("R-PAUSE-6: are passed by within bounds; those behind very many have their turn in a later pass", async () => {
    expect(await passBehind(10_000)).toEqual([0, 33]);
  });
});
