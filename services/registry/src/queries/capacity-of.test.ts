import { msFromTimestamp } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { agentWith, reservationsOf, reservationWith } from "../test-agents.test-helper.ts";
import { capacityOf, steadyUntilMs } from "./capacity-of.ts";

const NOW_MS = 10_000;

function agentExpecting(...ends: readonly (number | null)[]) {
  const held = ends.map((expectedEndAtMs, index) =>
    reservationWith({ attemptId: `attempt-${index}`, expectedEndAtMs }),
  );
  return agentWith({ reservations: reservationsOf(...held) });
}

describe("when more room is expected on an agent", () => {
  const expectedAt = (agent: ReturnType<typeof agentWith>): number | null => {
    const { expectedAvailableAt } = capacityOf(agent, NOW_MS);
    return expectedAvailableAt === undefined ? null : msFromTimestamp(expectedAvailableAt);
  };

  it.each<[string, readonly (number | null)[], number | null]>([
    ["nothing runs", [], null],
    ["nobody said when it ends", [null], null],
    ["the next of several ends", [90_000, 20_000, null], 20_000],
    ["an end that is overdue: any moment", [9_000, 90_000], NOW_MS],
  ])("R-CAP-9: %s", (_name, ends, expected) => {
    expect(expectedAt(agentExpecting(...ends))).toBe(expected);
  });

  it("R-CAP-9: what has ended counts no more", () => {
    const ended = reservationWith({ state: "released", releasedAtMs: 1, expectedEndAtMs: 20_000 });
    expect(expectedAt(agentWith({ reservations: reservationsOf(ended) }))).toBeNull();
  });

  it("the answer is kept as long as time changes nothing in it", () => {
    expect(steadyUntilMs(agentExpecting(20_000), NOW_MS)).toBe(20_000);
    expect(steadyUntilMs(agentExpecting(9_000), NOW_MS)).toBe(NOW_MS);
    const draining = agentWith({ draining: true, drainDeadlineMs: 15_000 });
    expect(steadyUntilMs(draining, NOW_MS)).toBe(15_000);
    expect(steadyUntilMs(agentWith(), NOW_MS)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("what is to be evicted", () => {
  const draining = { ...agentExpecting(null, null), draining: true, drainDeadlineMs: NOW_MS };

  it("is what still has room when the drain's deadline has passed", () => {
    expect(capacityOf(draining, NOW_MS).evictAttemptIds).toEqual(["attempt-0", "attempt-1"]);
    expect(capacityOf(draining, NOW_MS - 1).evictAttemptIds).toEqual([]);
    expect(capacityOf({ ...draining, drainDeadlineMs: null }, NOW_MS).evictAttemptIds).toEqual([]);
    expect(capacityOf({ ...draining, draining: false }, NOW_MS).evictAttemptIds).toEqual([]);
  });
});
