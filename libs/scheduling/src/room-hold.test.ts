import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  DEFAULT_HOLD_RULES,
  dueForHold,
  type HoldCandidate,
  type HoldRules,
  isInForce,
  makeHold,
  mayUseKept,
  mostPromising,
  type RoomHold,
} from "./room-hold.ts";

const rules: HoldRules = { afterMs: 10, firstMs: 100, longestMs: 800, maxShare: 0.1, most: 128 };
const candidate = (over: Partial<HoldCandidate> = {}): HoldCandidate => ({
  taskId: "large",
  rank: 1,
  waitedMs: 10,
  overtaken: true,
  ...over,
});
const hold = (over: Partial<RoomHold> = {}): RoomHold => ({
  taskId: "large",
  agentId: "a",
  readyInMs: 50,
  leftMs: 100,
  lastsMs: 100,
  times: 1,
  ...over,
});

describe("room kept for large tasks", () => {
  it("goes to the first of the queue that has waited and was overtaken, to as many as the share allows", () => {
    const others = [candidate({ taskId: "b", rank: 2 }), candidate({ taskId: "c", rank: 0, overtaken: false })];
    const due = (...asked: Parameters<typeof dueForHold>): string[] => dueForHold(...asked).map(({ taskId }) => taskId);
    expect(due([...others, candidate()], [], 5, rules)).toEqual(["large", "b"]);
    expect(due([candidate({ waitedMs: 9 })], [], 5, rules)).toEqual([]);
    expect(due(others, [hold()], 19, rules)).toEqual([]);
    expect(due(others, [hold()], 20, rules)).toEqual(["b"]);
    expect(due(others, [hold()], 1_000_000, { ...rules, most: 1 })).toEqual([]);
  });

  it("rests as long as it lasted, then lasts twice as long, up to the longest", () => {
    expect(dueForHold([candidate()], [hold({ leftMs: -99 })], 5, rules)).toEqual([]);
    const rested = hold({ leftMs: -100 });
    expect(dueForHold([candidate()], [rested], 5, rules)).toHaveLength(1);
    const places = [{ agentId: "a", roomInMs: null }];
    expect(makeHold(candidate(), places, [rested], rules)).toMatchObject({ lastsMs: 200, times: 2 });
    expect(makeHold(candidate(), places, [hold({ leftMs: -900, times: 9 })], rules)).toMatchObject({ lastsMs: 800 });
    expect(makeHold(candidate(), [{ agentId: "a", roomInMs: 400 }], [], rules)).toMatchObject({ lastsMs: 600 });
    expect(makeHold(candidate(), places, [hold({ taskId: "other" })], rules)).toBeNull();
  });

  it("lets its own task in, and what is over before the room is gathered", () => {
    const small = (expectedDurationMs: number | null) => ({ taskId: "small", expectedDurationMs });
    expect(mayUseKept(hold(), { taskId: "large", expectedDurationMs: null })).toBe(true);
    expect([50, 51, null].map((ms) => mayUseKept(hold(), small(ms)))).toEqual([true, false, false]);
    expect(mayUseKept(hold({ readyInMs: null }), small(1))).toBe(false);
    expect(mayUseKept(hold({ leftMs: 0 }), small(null))).toBe(true);
  });

  it("every other time the most promising place is kept, and in between each has its turn", () => {
    const places = ["b", "c", "a"].map((agentId) => ({ agentId, roomInMs: null }));
    let last: RoomHold | null = null;
    const tried: string[] = [];
    for (let times = 0; times < 8; times += 1) {
      last = makeHold(candidate(), times < 4 ? places : places.toReversed(), last === null ? [] : [last], rules);
      if (last === null) throw new Error("no hold was given");
      tried.push(last.agentId);
      last = { ...last, leftMs: -last.lastsMs };
    }
    expect(tried).toEqual(["b", "a", "b", "c", "a", "c", "a", "b"]);
    const keptByOther = hold({ taskId: "other", agentId: "a" });
    const inVain = hold({ agentId: "b", leftMs: -100 });
    expect(makeHold(candidate(), places, [inVain, keptByOther], rules)).toMatchObject({ agentId: "c", times: 2 });
    // It has left.
    expect(makeHold(candidate(), places.slice(1), [inVain], rules)).toMatchObject({ agentId: "a" });
  });

  it("a place whose end was known, and later than the hold could last, is kept again when that is near", () => {
    const last = hold({ agentId: "b", readyInMs: 300, leftMs: -800, lastsMs: 800 });
    const kept = (roomInMs: number | null, readyInMs: number | null = 300) =>
      makeHold(
        candidate(),
        [
          { agentId: "b", roomInMs },
          { agentId: "a", roomInMs: null },
        ],
        [{ ...last, readyInMs }],
        rules,
      )?.agentId;
    expect(kept(300)).toBe("b");
    // Not for as long as it takes, if that is longer than a hold; nor where it was to be there by now.
    expect([kept(900), kept(null), kept(300, -1), kept(300, null)]).toEqual(["a", "a", "a", "a"]);
  });

  it("one place that only needs longer is not left for all the hopeless ones", () => {
    const places = Array.from({ length: 26 }, (_, index) => ({
      agentId: String.fromCharCode(97 + index),
      roomInMs: null,
    }));
    const good = "q";
    const promising = [...places.filter(({ agentId }) => agentId === good), ...places];
    let waitedMs = 0;
    let last: RoomHold | null = null;
    // What stands in the way there takes 20 minutes; all the others never have room.
    while (last === null || last.agentId !== good || last.lastsMs < 1_200_000) {
      if (last !== null) waitedMs += 2 * last.lastsMs;
      last = makeHold(
        candidate(),
        promising,
        last === null ? [] : [{ ...last, leftMs: -last.lastsMs }],
        DEFAULT_HOLD_RULES,
      );
      if (last === null) throw new Error("no hold was given");
    }
    expect(waitedMs).toBeLessThanOrEqual(1_800_000);
  });

  it("goes where the room is expected first; what has outrun its time is as unknown as the rest", () => {
    const order = (...asked: Parameters<typeof mostPromising>) => mostPromising(...asked);
    const unknown = (agentId: string) => ({ agentId, roomInMs: null });
    expect(order({ agentId: "b", roomInMs: 5 }, ["a", "b"])).toEqual([{ agentId: "b", roomInMs: 5 }, unknown("a")]);
    expect(order({ agentId: "b", roomInMs: 0 }, ["a", "b"])).toEqual([unknown("a"), unknown("b")]);
    expect(order({ agentId: "c", roomInMs: 0 }, ["a"])).toEqual([unknown("a"), unknown("c")]);
    expect(order(null, ["a"])).toEqual([unknown("a")]);
  });

  it("property: small tasks never starve a large one, whose wait is bounded; room is kept only within its bounds", () => {
    const machines = fc.record({
      cores: fc.integer({ min: 4, max: 7 }),
      owner: fc.constantFrom(0, 0, 1, 2),
      overdue: fc.constantFrom(0, 0, 1),
    });
    fc.assert(
      fc.property(
        fc.array(machines, { maxLength: 4 }),
        fc.integer({ min: 0, max: 4 }),
        fc.array(fc.record({ lastsMs: fc.integer({ min: 1, max: 300 }), isKnown: fc.boolean() }), {
          minLength: 20,
          maxLength: 60,
        }),
        (others, place, smallTasks) => {
          const agents = others.toSpliced(place, 0, { cores: 4, owner: 0, overdue: 0 });
          const result = simulate({ agents, wanted: 4, smallTasks });
          // Every small task ends within 300: from the third time on a hold, of 400 or more, gathers the room wherever it can be. Each place has its turn in between.
          const mostHolds = 2 * agents.length + 4;
          const boundMs = rules.afterMs + mostHolds * (2 * rules.longestMs + 1);
          expect(result.largeStartedAtMs).not.toBeNull();
          expect(result.largeStartedAtMs).toBeLessThanOrEqual(boundMs);
          expect(result.longestHoldMs).toBeLessThanOrEqual(rules.longestMs);
          expect(result.lateForLarge).toBe(0);
        },
      ),
      { numRuns: 150 },
    );
  });

  it("the defaults idle an agent for an hour at most, and rest as long", () => {
    expect(DEFAULT_HOLD_RULES).toMatchObject({ longestMs: 3_600_000, firstMs: 300_000 });
  });
});

interface Small {
  readonly lastsMs: number;
  readonly isKnown: boolean;
}

interface Machine {
  readonly cores: number;
  /** Cores that its owner's programs use all day. */
  readonly owner: number;
  /** Tasks that hang: their end was expected long ago, and never comes. */
  readonly overdue: number;
}

interface Fleet {
  readonly agents: readonly Machine[];
  /** Cores that the large task needs. */
  readonly wanted: number;
  readonly smallTasks: readonly Small[];
}

/**
 * A fleet that small tasks (one core each, always more of them) keep full, and one task that needs a whole agent, waiting from the
 * start. Each millisecond: what is over ends, the large task is tried, a hold is considered, the rest is filled with small tasks.
 */
function simulate({ agents, wanted, smallTasks }: Fleet) {
  const running = agents.map(({ overdue }) =>
    Array.from({ length: overdue }, () => ({ endsAtMs: Infinity, expectedAtMs: 0, isKnown: true })),
  );
  const freeOn = (index: number): number =>
    (agents[index]?.cores ?? 0) - (agents[index]?.owner ?? 0) - (running[index]?.length ?? 0);
  let holds: readonly RoomHold[] = [];
  let next = 0;
  let longestHoldMs = 0;
  let lateForLarge = 0;
  const fill = (nowMs: number): void => {
    for (const [index, work] of running.entries()) {
      for (let tried = 0; freeOn(index) > 0 && tried < smallTasks.length; tried += 1) {
        const small = smallTasks[next % smallTasks.length] ?? { lastsMs: 1, isKnown: true };
        next += 1;
        const kept = holds.find((one) => one.agentId === String(index) && isInForce(one));
        const task = { taskId: "small", expectedDurationMs: small.isKnown ? small.lastsMs : null };
        if (kept !== undefined && !mayUseKept(kept, task)) continue;
        if (kept !== undefined && small.lastsMs > (kept.readyInMs ?? 0)) lateForLarge += 1;
        const endsAtMs = nowMs + small.lastsMs;
        work.push({ endsAtMs, expectedAtMs: endsAtMs, isKnown: small.isKnown });
      }
    }
  };
  /** As the registry estimates: when enough known ends have come; what is overdue is expected now. */
  const roomInMs = (index: number, nowMs: number): number | null => {
    const ends = (running[index] ?? []).filter(({ isKnown }) => isKnown).map(({ expectedAtMs }) => expectedAtMs);
    const last = ends.toSorted((a, b) => a - b)[wanted - freeOn(index) - 1];
    return last === undefined ? null : Math.max(0, last - nowMs);
  };
  fill(0);
  for (let nowMs = 1; nowMs <= 30_000; nowMs += 1) {
    for (const [index, work] of running.entries()) running[index] = work.filter(({ endsAtMs }) => endsAtMs > nowMs);
    holds = holds.map((one) => ({
      ...one,
      leftMs: one.leftMs - 1,
      readyInMs: one.readyInMs === null ? null : one.readyInMs - 1,
    }));
    if (running.some((_, index) => freeOn(index) >= wanted)) {
      return { largeStartedAtMs: nowMs, longestHoldMs, lateForLarge };
    }
    const large = candidate({ waitedMs: nowMs });
    if (dueForHold([large], holds, agents.length, rules).length > 0) {
      const indexes = agents.map((_, index) => index);
      const nearest = indexes.toSorted((a, b) => freeOn(b) - freeOn(a)).map(String);
      const [soonest] = indexes
        .flatMap((index) => ({ agentId: String(index), roomInMs: roomInMs(index, nowMs) }))
        .filter((place) => place.roomInMs !== null)
        .toSorted((a, b) => (a.roomInMs ?? 0) - (b.roomInMs ?? 0));
      const made = makeHold(large, mostPromising(soonest ?? null, nearest), holds, rules);
      if (made !== null) {
        holds = [...holds.filter(({ taskId }) => taskId !== made.taskId), made];
        longestHoldMs = Math.max(longestHoldMs, made.lastsMs);
      }
    }
    fill(nowMs);
  }
  return { largeStartedAtMs: null, longestHoldMs, lateForLarge };
}
