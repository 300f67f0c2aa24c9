import { describe, expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { agentWith, reservationsOf, reservationWith, sampleWith } from "../test-agents.test-helper.ts";
import { Draft } from "./draft.ts";
import { reconcile } from "./reconcile.ts";

const NOW_MS = 100_000;
const attemptId = reservationWith().attemptId;
const report = { by: "beat", epoch: 1 } as const;

/** An agent that lists an attempt of which the room was released at this time. */
function draftWith(releasedAtMs: number): { readonly draft: Draft; readonly agentId: string } {
  const fleet = new Fleet("this registry");
  const used = { cpuMillicores: 10, memoryMib: 1, cards: [] };
  const agent = agentWith({
    sample: { ...sampleWith(16), attempts: [{ attemptId, fence: 1, used }] },
    reservations: reservationsOf(reservationWith({ state: "released", releasedAtMs })),
  });
  fleet.put(agent);
  return { draft: new Draft(fleet, NOW_MS), agentId: agent.agentId };
}

describe("an agent lists an attempt that was released", () => {
  it("DESIGN-3: a list that may be older than the release says nothing of it, and a newer one is wanted", () => {
    const { draft, agentId } = draftWith(50_000);
    expect(reconcile(draft, agentId, { ...report, madeAfterMs: 49_999 })).toEqual({
      changes: [],
      unknown: 0,
      isOutdated: true,
    });
    expect(draft.commit()).toBeNull();
  });

  it("DESIGN-3: a list that was made after it tells that the processes still live: the room is not free", () => {
    const { draft, agentId } = draftWith(50_000);
    const { changes, isOutdated } = reconcile(draft, agentId, { ...report, madeAfterMs: 50_001 });
    expect(isOutdated).toBe(false);
    expect(changes).toMatchObject([{ change: "adopted", reservation: { attemptId, state: "adopted" } }]);
    expect(draft.reservation(attemptId)?.state).toBe("adopted");
  });
});
