import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { AgentView } from "./agent-view.ts";
import { anyFleet, anyNeeds } from "./arbitraries.test-helper.ts";
import { untaughtPolicy } from "./fixtures.test-helper.ts";
import { normalizeNeeds } from "./needs.ts";
import { placeBatch } from "./placement.ts";
import { OpenRoom } from "./open-room.ts";
import { roomBound, type RoomFigures } from "./room-bound.ts";

/** As a capacity answer tells it. */
function figuresOf(view: AgentView): RoomFigures {
  const isKept = view.cordoned || view.draining || view.ownerHold || view.onProbation === true;
  return {
    agentId: view.agentId,
    poolName: view.poolName,
    labels: view.labels,
    takesWork: view.status === "online" && view.attached && !isKept && view.agentType === "desktop",
    cpuFreeMillicores: view.room.cpu.free,
    memoryFreeMib: view.room.memory.free,
    cards: view.room.cards.map((card) => ({
      cardId: card.cardId,
      model: card.model,
      vramFreeMib: card.free,
      exclusive: card.exclusivelyHeld,
    })),
  };
}

describe("room bound", () => {
  it("property: never fewer than can be placed, on any fleet", () => {
    fc.assert(
      fc.property(anyFleet, anyNeeds, (fleet, needs) => {
        const requests = Array.from({ length: 12 }, (_, each) => ({ attemptId: `new-${each}`, needs }));
        const placed = placeBatch(fleet, requests, untaughtPolicy("best-fit"), { random: 0.5 }).filter(
          ({ kind }) => kind === "reserved",
        );
        const open = new OpenRoom(fleet.map(figuresOf));
        expect(open.roomFor(needs, 12, () => true)).toBeGreaterThanOrEqual(placed.length);
      }),
      { numRuns: 1_000 },
    );
  });

  it("counts what fits side by side, up to the limit", () => {
    const agent: RoomFigures = {
      agentId: "a",
      poolName: "default",
      labels: { site: "berlin" },
      takesWork: true,
      cpuFreeMillicores: 7_500,
      memoryFreeMib: 4_096,
      cards: [
        { cardId: "gpu-0", model: "RTX 4090", vramFreeMib: 24_000, exclusive: false },
        { cardId: "gpu-1", model: "RTX 4090", vramFreeMib: 5_000, exclusive: false },
        { cardId: "gpu-2", model: "RTX 3080", vramFreeMib: 10_000, exclusive: true },
      ],
    };
    const bound = (asked: Parameters<typeof normalizeNeeds>[0], limit = 100) =>
      roomBound(agent, normalizeNeeds(asked), limit);
    expect(bound({})).toBe(7);
    expect(bound({}, 3)).toBe(3);
    expect(bound({ memoryMib: 1_500 })).toBe(2);
    expect(bound({ gpuVramMib: 8_000 })).toBe(3);
    expect(bound({ gpuCount: 2, gpuVramMib: 4_000 })).toBe(3);
    expect(bound({ gpuExclusive: true })).toBe(2);
    expect(bound({ gpuModels: ["3080"] })).toBe(0);
    expect(bound({ labels: { site: "paris" } })).toBe(0);
    expect(bound({ pool: "other" })).toBe(0);
    expect(bound({ agentId: "b" })).toBe(0);
    expect(roomBound({ ...agent, takesWork: false }, normalizeNeeds({}), 9)).toBe(0);
  });
});
