import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import type { Facts } from "../../support/invariants/facts.ts";
import { findUnkept, type Told, toldBy } from "./find-unkept.ts";

/** Promised at 10 s, taken over at 20 s, given back at 30 s; the attempt ends at 29 s. */
const facts = {
  changes: [
    { row: "reservation", attemptId: "a", state: "unconfirmed", fence: 1, atMs: 10_000 },
    { row: "attempt", attemptId: "a", state: "assigned", fence: 1, atMs: 11_000 },
    { row: "reservation", attemptId: "a", state: "unconfirmed", fence: 2, atMs: 20_000 },
    { row: "attempt", attemptId: "a", state: "running", fence: 2, atMs: 21_000 },
    { row: "attempt", attemptId: "a", state: "succeeded", fence: 2, atMs: 29_000 },
    { row: "reservation", attemptId: "a", state: "released", fence: 2, atMs: 30_000 },
  ],
} as unknown as Facts;

function found(what: Told["what"], fence: number, atMs: number, attemptId = "a"): number {
  return findUnkept([{ what, attemptId, fence, atMs }], facts).length;
}

describe("V27: what somebody was told has been done was committed before", () => {
  it("a promise, under the fence that was asked", () => {
    expect(found("reserved", 1, 9_999)).toBe(1);
    expect(found("reserved", 1, 10_000)).toBe(0);
    expect(found("reserved", 2, 15_000)).toBe(1);
    expect(found("reserved", 2, 25_000)).toBe(0);
    // It has ended since; it was there.
    expect(found("reserved", 2, 90_000)).toBe(0);
    expect(found("reserved", 1, 90_000, "other")).toBe(1);
  });

  it("a release", () => {
    expect(found("released", 2, 29_999)).toBe(1);
    expect(found("released", 2, 30_000)).toBe(0);
    expect(found("released", 1, 90_000, "other")).toBe(1);
    // Given back and promised anew, under a higher fence, by one commit.
    expect(found("released", 1, 19_999)).toBe(1);
    expect(found("released", 1, 20_000)).toBe(0);
  });

  it("a result: counted, or refused because a higher fence was in force or nobody had given it out", () => {
    expect(found("ended", 2, 28_999)).toBe(1);
    expect(found("ended", 2, 29_000)).toBe(0);
    expect(found("ended", 1, 20_500)).toBe(1);
    expect(found("ended", 1, 22_000)).toBe(0);
    expect(found("ended", 1, 90_000, "other")).toBe(0);
  });
});

describe("what an answer says has been done", () => {
  const { reserveCapacity, releaseCapacity, renewReservations } = wire.CapacityServiceService;

  it("promises that are kept, and not those of a dry run", () => {
    const reserved = wire.ReserveResult.fromPartial({
      attemptId: "a",
      outcome: { $case: "reserved", value: { fence: 3 } },
    });
    const stale = wire.ReserveResult.fromPartial({
      attemptId: "b",
      outcome: { $case: "staleFence", value: { currentFence: 4 } },
    });
    const answer: wire.ReserveCapacityResponse = { results: [reserved, stale], revision: undefined };
    const asked = (dryRun: boolean) => wire.ReserveCapacityRequest.fromPartial({ dryRun });
    expect(toldBy(reserveCapacity.path, asked(false), answer, 7)).toEqual([
      { what: "reserved", attemptId: "a", fence: 3, atMs: 7 },
    ]);
    expect(toldBy(reserveCapacity.path, asked(true), answer, 7)).toEqual([]);
  });

  it("releases, under the fence that was asked", () => {
    const request = wire.ReleaseCapacityRequest.fromPartial({
      attempts: [
        { attemptId: "a", fence: 5 },
        { attemptId: "b", fence: 6 },
      ],
    });
    const answer = wire.ReleaseCapacityResponse.fromPartial({
      results: [
        { attemptId: "a", outcome: wire.ReleaseOutcome.RELEASE_OUTCOME_NOT_FOUND },
        { attemptId: "b", outcome: wire.ReleaseOutcome.RELEASE_OUTCOME_RELEASED },
      ],
    });
    expect(toldBy(releaseCapacity.path, request, answer, 7)).toEqual([
      { what: "released", attemptId: "b", fence: 6, atMs: 7 },
    ]);
    expect(toldBy(renewReservations.path, request, answer, 7)).toEqual([]);
  });
});
