/** Many shapes and not enough room for all of them: who gets it, and how much is taken in vain. */
import { type Needs, normalizeNeeds, OpenRoom, type RoomFigures, roomAfterOne, roomBound } from "@headroom/scheduling";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Placed } from "../placing/placer.ts";
import type { ClaimedTask, QueueHead } from "../store/model.ts";
import { createRefusals } from "./refusals.ts";
import { takeTurns, type TurnOptions } from "./take-turns.ts";

interface Task {
  readonly rank: number;
  readonly shapeKey: string;
  readonly needs: Needs;
}

interface Asked {
  readonly tasks: readonly Task[];
  /** What the watch tells. */
  readonly told: readonly RoomFigures[];
  /** What the registry knows to be taken besides: so many cores of each agent. */
  readonly hiddenCores?: number;
  /** Which of the agents with room the registry takes: by turns, so many further each time. Default: the first. */
  readonly strides?: number;
  /** The registry is behind the watch. */
  readonly isBehind?: boolean;
  /** Closed for the task: it is held. */
  readonly isHeld?: (task: Task) => boolean;
  /** Shapes that a poll tries whatever the watch tells. */
  readonly tried?: ReadonlySet<string>;
  /** Agents that nothing may go to for now. */
  readonly avoided?: ReadonlySet<string>;
  /** Others take it once the heads have been read. */
  readonly isTaken?: (task: Task) => boolean;
}

const agent = (agentId: string, cores: number, memoryMib: number): RoomFigures => ({
  agentId,
  poolName: "default",
  labels: {},
  takesWork: true,
  cpuFreeMillicores: 1_000 * cores,
  memoryFreeMib: memoryMib,
  cards: [],
});

/** A pass over a queue in memory and a registry that takes the first agent with room. */
async function passOver(asked: Asked) {
  const {
    tasks,
    told,
    hiddenCores = 0,
    strides = 0,
    isTaken = () => false,
    isHeld = () => false,
    isBehind = false,
    tried = new Set(),
    avoided = new Set(),
  } = asked;
  const waiting = new Set(tasks.toSorted((a, b) => a.rank - b.rank));
  let watched = told;
  let actual = told.map((each) => ({ ...each, cpuFreeMillicores: each.cpuFreeMillicores - 1_000 * hiddenCores }));
  const started: number[] = [];
  const counts = { claimed: 0, claims: 0, calls: 0 };
  /** Started while one before it waited that had room. */
  const overtakers: number[] = [];
  /** Those of each batch of which some were held. */
  const heldShapes: string[] = [];

  const open = (): OpenRoom => new OpenRoom(watched);
  const fleet: TurnOptions["fleet"] = {
    roomFor: (needs, limit, mayHave = () => true) => open().roomFor(needs, limit, mayHave),
    draft: () => open().draft(),
    roomSince: () => isBehind,
  };
  const dueOf = (shapeKey: string): Task[] =>
    [...waiting].filter((task) => task.shapeKey === shapeKey).sort((a, b) => a.rank - b.rank);

  function place(batch: readonly ClaimedTask[]): Placed {
    counts.calls += 1;
    const assigned: unknown[] = [];
    const parked: Placed["parked"][number][] = [];
    const shapesWithoutRoom = new Map<string, { reason: "NO_AGENT_FITS_NOW"; sentence: string; isForNow: boolean }>();
    heldShapes.push(...new Set(batch.filter(isHeld).map(({ shapeKey }) => shapeKey)));
    for (const task of batch) {
      const fitting = actual.flatMap((each, at) => (roomBound(each, task.needs, 1) >= 1 ? [at] : []));
      const index = fitting.length === 0 ? -1 : (fitting[(strides * started.length) % fitting.length] ?? -1);
      if (isHeld(task)) {
        for (const each of tasks) if (each.rank === task.rank) waiting.add(each);
        parked.push({ taskId: task.taskId, planId: "", taskName: "", reason: "FLEET_BELOW_THRESHOLD", sentence: "" });
        continue;
      }
      const give = (agents: readonly RoomFigures[]): RoomFigures[] =>
        agents.map((each, at) => (at === index ? roomAfterOne(each, task.needs) : each));
      if (index < 0) {
        shapesWithoutRoom.set(task.shapeKey, { reason: "NO_AGENT_FITS_NOW", sentence: "", isForNow: false });
        for (const each of tasks) if (each.rank === task.rank) waiting.add(each);
      } else {
        const before = [...waiting].filter(({ rank }) => rank < task.rank);
        if (before.some(({ needs }) => actual.some((each) => roomBound(each, needs, 1) >= 1)))
          overtakers.push(task.rank);
        [actual, watched] = [give(actual), give(watched)];
        started.push(task.rank);
        assigned.push(task);
      }
    }
    const revision = { instance: "watched", counter: 1 };
    return {
      assigned,
      parked,
      shapesWithoutRoom,
      refusedAlone: new Map(),
      revision,
      registryAway: false,
    } as Placed;
  }

  const options: TurnOptions = {
    store: {
      claimWaiting({ shapes }) {
        counts.claims += 1;
        const batch = shapes.flatMap(({ shapeKey, limit }) =>
          dueOf(shapeKey)
            .slice(0, limit)
            .map((task) => ({ ...task, taskId: String(task.rank) })),
        );
        for (const { rank } of batch) for (const task of waiting) if (task.rank === rank) waiting.delete(task);
        counts.claimed += batch.length;
        return Promise.resolve(batch.toSorted((a, b) => a.rank - b.rank) as unknown as ClaimedTask[]);
      },
      queueRanks: (keys, { ofEach }) =>
        Promise.resolve(
          new Map(
            keys.map((key) => [
              key,
              dueOf(key)
                .map(({ rank }) => rank)
                .slice(0, ofEach),
            ]),
          ),
        ),
    },
    fleet,
    placer: { place: (batch) => Promise.resolve(place(batch)), lockedPlans: () => Promise.resolve(new Set()) },
    refusals: createRefusals(fleet),
    kept: { avoidedBy: () => new Set() },
    avoided: { current: () => avoided },
    stamper: { stamp: () => Promise.resolve() },
    claimEnds: { note: () => undefined },
    claimer: { owner: "this", leaseMs: 30_000 },
    timers: {
      after(_delayMs, run) {
        setImmediate(run);
        return { cancel: () => undefined };
      },
    },
    tell: () => undefined,
    maxRounds: 1_000,
  };
  const heads = new Map<string, QueueHead>();
  for (const task of waiting)
    if (!heads.has(task.shapeKey)) heads.set(task.shapeKey, { ...task, usesGpu: false } as unknown as QueueHead);
  for (const task of waiting) if (isTaken(task)) waiting.delete(task);
  const { signal } = new AbortController();
  const request = { planId: null, cause: "test", thorough: false, signal };
  const result = await takeTurns(options, request, [...heads.values()], tried);
  const left = [...waiting].filter(({ needs }) => actual.some((each) => roomBound(each, needs, 1) >= 1));
  return { result, started, left, counts, overtakers, heldShapes };
}

const tasksOf = (needsOf: fc.Arbitrary<Needs>, shapes: number): fc.Arbitrary<readonly Task[]> =>
  fc
    .record({
      needs: fc.array(needsOf, { minLength: shapes, maxLength: shapes }),
      tasks: fc.uniqueArray(fc.record({ shape: fc.nat(shapes - 1), rank: fc.nat(999) }), {
        selector: ({ rank }) => rank,
        maxLength: 60,
      }),
    })
    .map(({ needs, tasks }) =>
      tasks.map(({ shape, rank }) => ({ rank, shapeKey: `shape-${shape}`, needs: needs[shape]! })),
    );

const anyNeeds = fc
  .record({ cpuMillicores: fc.constantFrom(1_000, 2_000, 5_000), memoryMib: fc.constantFrom(0, 512, 2_048) })
  .map((asked) => normalizeNeeds(asked));
const anyAgents = fc
  .array(fc.tuple(fc.nat(12), fc.constantFrom(0, 1_024, 4_096)), { minLength: 1, maxLength: 4 })
  .map((agents) => agents.map(([cores, memoryMib], index) => agent(`agent-${index}`, cores, memoryMib)));

describe("a pass over several shapes that want the same room", () => {
  it("property: R-PAUSE-6: nothing waits that there is room for, whatever the registry knows better", async () => {
    await fc.assert(
      fc.asyncProperty(
        tasksOf(anyNeeds, 8),
        anyAgents,
        fc.nat(3),
        fc.nat(9),
        async (tasks, told, hiddenCores, taken) => {
          const isTaken = ({ rank }: Task): boolean => (rank * 7_919) % 10 < taken;
          const { left, result, started } = await passOver({ tasks, told, hiddenCores, isTaken });
          expect(left).toEqual([]);
          expect(result).toMatchObject({ endedAt: "done", resumed: started.length });
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("property: R-PAUSE-6: no more is claimed than there is room for, where the watch is right", async () => {
    await fc.assert(
      fc.asyncProperty(tasksOf(anyNeeds, 8), anyAgents, async (tasks, told) => {
        const { started, counts } = await passOver({ tasks, told });
        expect(counts.claimed).toBe(started.length);
      }),
      { numRuns: 1_000 },
    );
  });

  it("property: DESIGN-5: nobody is overtaken who has room, wherever the registry puts those before", async () => {
    await fc.assert(
      fc.asyncProperty(tasksOf(anyNeeds, 8), anyAgents, fc.nat(5), async (tasks, told, strides) => {
        const { overtakers, left } = await passOver({ tasks, told, strides });
        expect([overtakers, left]).toEqual([[], []]);
      }),
      { numRuns: 1_000 },
    );
  });

  it("property: R-PAUSE-6: what the gate has come to hold keeps nothing else from its room", async () => {
    await fc.assert(
      fc.asyncProperty(tasksOf(anyNeeds, 8), anyAgents, async (tasks, told) => {
        const isHeld = ({ shapeKey }: Pick<Task, "shapeKey">): boolean => Number(shapeKey.slice(-1)) % 2 === 0;
        const { left, heldShapes } = await passOver({ tasks, told, isHeld });
        expect(left.filter((task) => !isHeld(task))).toEqual([]);
        // Of a shape that is held nothing is claimed again.
        expect(new Set(heldShapes).size).toBe(heldShapes.length);
      }),
      { numRuns: 1_000 },
    );
  });

  it("property: DESIGN-5: those that come first in the order of the queue get it, whatever their shapes", async () => {
    const alike = fc.constant(normalizeNeeds({ cpuMillicores: 1_000 }));
    await fc.assert(
      fc.asyncProperty(tasksOf(alike, 5), fc.nat(30), async (tasks, cores) => {
        const { started } = await passOver({ tasks, told: [agent("agent", cores, 0)] });
        const inOrder = tasks.map(({ rank }) => rank).toSorted((a, b) => a - b);
        expect(started.toSorted((a, b) => a - b)).toEqual(inOrder.slice(0, cores));
      }),
      { numRuns: 1_000 },
    );
  });

  const ofShapes = (shapes: number, each: number): readonly Task[] =>
    Array.from({ length: shapes * each }, (_, rank) => ({
      rank,
      shapeKey: `shape-${rank % shapes}`,
      needs: normalizeNeeds({ cpuMillicores: 1_000 + (rank % shapes) }),
    }));

  it("R-PAUSE-6: room for one task costs one claim, however many shapes wait", async () => {
    const { started, counts } = await passOver({ tasks: ofShapes(1_000, 3), told: [agent("agent", 1.999, 0)] });
    expect(started).toEqual([0]);
    expect(counts).toEqual({ claimed: 1, claims: 1, calls: 1 });
  });

  it("R-PAUSE-6: room for some is one claim of all that get it, and another one that finds no more", async () => {
    const { started, counts } = await passOver({ tasks: ofShapes(50, 100), told: [agent("agent", 160, 0)] });
    expect(started.length).toBeGreaterThan(150);
    expect(started).toEqual(started.toSorted((a, b) => a - b));
    expect(counts.claimed).toBe(started.length);
    expect(counts.calls).toBeLessThanOrEqual(3);
  });

  it("R-PAUSE-6: room that the watch tells of and the registry does not have is found out in a few questions", async () => {
    const { started, counts } = await passOver({
      tasks: ofShapes(1_000, 3),
      told: [agent("agent", 2, 0)],
      hiddenCores: 1,
    });
    expect(started).toEqual([0]);
    expect(counts.calls).toBeLessThanOrEqual(12);
    expect(counts.claimed).toBeLessThanOrEqual(1_001);
  });

  it("R-PAUSE-6: a registry that is behind is asked a few times, however many shapes it refuses", async () => {
    const { result, counts } = await passOver({
      tasks: ofShapes(1_500, 2),
      told: [agent("agent", 3, 0)],
      hiddenCores: 3,
      isBehind: true,
    });
    expect(result).toMatchObject({ resumed: 0, endedAt: "done", isRefusedInVain: true });
    expect(counts.calls).toBeLessThanOrEqual(20);
    expect(counts.claimed).toBeLessThanOrEqual(6_000);
  });

  it("R-PAUSE-6: a poll tries one of each shape where the watch tells of no room, once, and finds what there is", async () => {
    const tasks = ofShapes(1_200, 2);
    const tried = new Set(tasks.map(({ shapeKey }) => shapeKey));
    const { result, counts } = await passOver({ tasks, told: [agent("agent", 0, 0)], tried });
    expect(counts).toEqual({ claimed: 1_200, claims: 3, calls: 3 });
    expect(result.refused).toHaveLength(1_200);
    // The registry has room that the watch does not tell of.
    const found = await passOver({ tasks, told: [agent("agent", 0, 0)], hiddenCores: -1.5, tried });
    expect(found.started).toEqual([0]);
  });

  it("R-PAUSE-6: room on an agent that is avoided is asked for by nobody", async () => {
    const told = [agent("avoided", 8, 0), agent("other", 1, 0)];
    const { started, counts } = await passOver({ tasks: ofShapes(5, 2), told, avoided: new Set(["avoided"]) });
    expect([started, counts.claimed]).toEqual([[0], 1]);
  });

  it("R-PAUSE-6: what has gone from the front of the queue keeps nobody from the room for long", async () => {
    const { started, counts } = await passOver({
      tasks: ofShapes(1_100, 1),
      told: [agent("agent", 2.1, 0)],
      isTaken: ({ rank }) => rank < 1_099,
    });
    expect(started).toEqual([1_099]);
    expect(counts.claims).toBeLessThanOrEqual(15);
  });

  it("R-PAUSE-6: the first of the queue has gone, and the next one waits for the room that was meant for it", async () => {
    const small = normalizeNeeds({ cpuMillicores: 1_000 });
    const large = normalizeNeeds({ cpuMillicores: 5_000 });
    const { started } = await passOver({
      tasks: [
        { rank: 1, shapeKey: "small", needs: small },
        { rank: 2, shapeKey: "large", needs: large },
        { rank: 9, shapeKey: "small", needs: small },
      ],
      told: [agent("agent", 5, 0)],
      isTaken: ({ rank }) => rank === 1,
    });
    expect(started).toEqual([2]);
  });
});
