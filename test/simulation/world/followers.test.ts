import { describe, expect, it } from "vitest";
import type { Facts } from "../../support/invariants/facts.ts";
import { findMissed } from "./followers.ts";

const facts = {
  events: [
    { planId: "plan", eventId: 3, kind: "PLAN_ACCEPTED" },
    { planId: "other", eventId: 4, kind: "PLAN_ACCEPTED" },
    { planId: "plan", eventId: 5, kind: "TASK_SUCCEEDED" },
    { planId: "plan", eventId: 7, kind: "PLAN_SUCCEEDED" },
    { planId: "plan", eventId: 9, kind: "PLAN_RETRY_REQUESTED" },
  ],
} as unknown as Facts;

const found = (eventIds: readonly number[], hasEnded: boolean): readonly string[] =>
  findMissed([{ planId: "plan", eventIds: [...eventIds], hasEnded }], facts).map(({ what }) => what);

describe("V28: who follows a plan", () => {
  it("is told each event once, in order, up to the end", () => {
    expect(found([3, 5, 7], true)).toEqual([]);
    // It is asked to run again, after that.
    expect(found([3, 5, 7, 9], true)).toEqual([]);
    expect(found([3, 5], false)).toEqual([]);
    expect(found([], false)).toEqual([]);
  });

  it.each([
    ["one left out", [3, 7], false],
    ["one twice", [3, 5, 5], false],
    ["out of order", [5, 3], false],
    ["one that is not written", [3, 5, 6], false],
    ["of another plan", [3, 4, 5], false],
    ["an end that was not told", [3, 5], true],
  ])("%s is found", (_, eventIds, hasEnded) => {
    expect(found(eventIds, hasEnded)).toHaveLength(1);
  });
});
