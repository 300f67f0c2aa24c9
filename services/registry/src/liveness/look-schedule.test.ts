import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { LookSchedule } from "./look-schedule.ts";

interface Thing {
  readonly name: number;
  lookAtMs: number | null;
}

describe("what is looked at by time", () => {
  it("comes once, in the second of the earliest time that was said for it", () => {
    const step = fc.oneof(
      fc.record({ item: fc.nat({ max: 4 }), inMs: fc.integer({ min: -3_000, max: 20_000 }) }),
      fc.record({ dropped: fc.nat({ max: 4 }) }),
      fc.record({ passesMs: fc.integer({ min: 0, max: 5_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const schedule = new LookSchedule<Thing>();
        const things = Array.from({ length: 5 }, (_, name): Thing => ({ name, lookAtMs: null }));
        const expected = new Map<number, number>();
        let nowMs = 1_000_000;
        for (const each of steps) {
          if ("item" in each) {
            const atMs = nowMs + each.inMs;
            schedule.at(things[each.item]!, atMs);
            expected.set(each.item, Math.min(expected.get(each.item) ?? Infinity, atMs));
          } else if ("dropped" in each) {
            schedule.drop(things[each.dropped]!);
            expected.delete(each.dropped);
          } else {
            nowMs += each.passesMs;
            const due = [...expected].filter(([, atMs]) => Math.floor(atMs / 1_000) <= Math.floor(nowMs / 1_000));
            const taken = schedule.takeDue(nowMs).map(({ name }) => name);
            expect(taken).toHaveLength(due.length);
            expect(new Set(taken)).toEqual(new Set(due.map(([name]) => name)));
            for (const [name] of due) expected.delete(name);
          }
        }
      }),
    );
  });
});
