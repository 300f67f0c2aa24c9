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

  it("property: small tasks never starve a large one, whose wait is bounded; room is kept only within its bounds", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 2, max: 8 }),
        fc.array(fc.record({ lastsMs: fc.integer({ min: 1, max: 40 }), isKnown: fc.boolean() }), {
          minLength: 20,
          maxLength: 60,
        }),
        (agents, cores, smallTasks) => {
          const result = simulate({ agents, cores, smallTasks });
          // Every small task ends within 40: the first hold, of 100, always gathers the room.
          expect(result.largeStartedAtMs).not.toBeNull();
          expect(result.largeStartedAtMs).toBeLessThanOrEqual(rules.afterMs + 100 + 2);
          expect(result.longestHoldMs).toBeLessThanOrEqual(rules.longestMs);
          expect(result.lateForLarge).toBe(0);
        },
      ),
      { numRuns: 300 },
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

/**
 * A fleet that small tasks (one core each, always more of them) keep full, and one task that needs a whole agent, waiting from the
 * start. Each millisecond: what is over ends, the large task is tried, a hold is considered, the rest is filled with small tasks.
 */
function simulate({ agents, cores, smallTasks }: { agents: number; cores: number; smallTasks: readonly Small[] }) {
  const running = Array.from({ length: agents }, () => [] as { endsAtMs: number; isKnown: boolean }[]);
  let holds: readonly RoomHold[] = [];
  let next = 0;
  let longestHoldMs = 0;
  let lateForLarge = 0;
  const fill = (nowMs: number): void => {
    for (const [index, work] of running.entries()) {
      for (let tried = 0; work.length < cores && tried < smallTasks.length; tried += 1) {
        const small = smallTasks[next % smallTasks.length] ?? { lastsMs: 1, isKnown: true };
        next += 1;
        const kept = holds.find((one) => one.agentId === String(index) && isInForce(one));
        const task = { taskId: "small", expectedDurationMs: small.isKnown ? small.lastsMs : null };
        if (kept !== undefined && !mayUseKept(kept, task)) continue;
        if (kept !== undefined && small.lastsMs > (kept.readyInMs ?? 0)) lateForLarge += 1;
        work.push({ endsAtMs: nowMs + small.lastsMs, isKnown: small.isKnown });
      }
    }
  };
  fill(0);
  for (let nowMs = 1; nowMs <= 2_000; nowMs += 1) {
    for (const [index, work] of running.entries()) running[index] = work.filter(({ endsAtMs }) => endsAtMs > nowMs);
    holds = holds.map((one) => ({
      ...one,
      leftMs: one.leftMs - 1,
      readyInMs: one.readyInMs === null ? null : one.readyInMs - 1,
    }));
    if (running.some((work) => work.length === 0)) return { largeStartedAtMs: nowMs, longestHoldMs, lateForLarge };
    const large = candidate({ waitedMs: nowMs });
    if (dueForHold([large], holds, agents, rules).length > 0) {
      const places = running.map((work, index) => ({
        agentId: String(index),
        roomInMs: work.every(({ isKnown }) => isKnown)
          ? Math.max(...work.map(({ endsAtMs }) => endsAtMs - nowMs))
          : null,
      }));
      places.sort((a, b) => (a.roomInMs ?? Infinity) - (b.roomInMs ?? Infinity));
      const made = makeHold(large, places, holds, rules);
      if (made !== null) {
        holds = [...holds.filter(({ taskId }) => taskId !== made.taskId), made];
        longestHoldMs = Math.max(longestHoldMs, made.lastsMs);
      }
    }
    fill(nowMs);
  }
  return { largeStartedAtMs: null, longestHoldMs, lateForLarge };
}
