import { describe, expect, it } from "vitest";
import type { AgentView } from "./agent-view.ts";
import { isOpenForWork, isWithin, type AvailabilityFilter } from "./available.ts";
import { card, desktop, dimension, GIB, sample } from "./fixtures.test-helper.ts";

/** The sample fleet of the founding documents. */
const fleet: readonly AgentView[] = [
  desktop("1", { sample: sample({ cpu: dimension(12_000), cards: [card(0, { vramTotalMib: 4 * GIB })] }) }),
  desktop("2", { sample: sample({ cpu: dimension(3000), cards: [card(0, { vramTotalMib: 2 * GIB })] }) }),
  desktop("3", { status: "offline", sample: null }),
  desktop("4", { sample: sample({ cpu: dimension(3000) }) }),
];

function listed(filter: AvailabilityFilter, agents = fleet): readonly string[] {
  return agents.filter((view) => isOpenForWork(view) && isWithin(view, filter)).map((view) => view.agentId);
}

describe("available capacity", () => {
  it("R-CAP-4: the minimal filter lists every online desktop with a core", () => {
    expect(listed({ minVramMib: 0, minCpuMillicores: 1000 })).toEqual(["1", "2", "4"]);
  });

  it("R-CAP-4: VRAM, cores, both, and no match", () => {
    expect(listed({ minVramMib: 2 * GIB })).toEqual(["1", "2"]);
    expect(listed({ minCpuMillicores: 4000 })).toEqual(["1"]);
    expect(listed({ minVramMib: 4 * GIB, minCpuMillicores: 12_000 })).toEqual(["1"]);
    expect(listed({ minVramMib: 5 * GIB })).toEqual([]);
  });

  it("R-CAP-3: an agent without metrics never matches a filter that asks for some", () => {
    const fresh = [desktop("new", { sample: null })];
    expect(listed({ minCpuMillicores: 1000 }, fresh)).toEqual([]);
    expect(listed({ minVramMib: 1 }, fresh)).toEqual([]);
  });

  it.each(["infra", "code", "research"] as const)("R-CAP-5: %s agents are never listed", (agentType) => {
    expect(listed({}, [desktop("x", { agentType })])).toEqual([]);
  });

  it.each(["offline", "suspect", "unknown"] as const)("R-CAP-5: %s agents are never listed", (status) => {
    expect(listed({}, [desktop("x", { status })])).toEqual([]);
  });

  it("DESIGN-2: cordoned, draining and held agents are not listed", () => {
    const aside = [
      desktop("a", { cordoned: true }),
      desktop("b", { draining: true }),
      desktop("c", { ownerHold: true }),
    ];
    expect(listed({}, aside)).toEqual([]);
  });

  it("R-CAP-9: maxima and VRAM on one card are bounds of their own", () => {
    const two = [desktop("x", { sample: sample({ cards: [card(0), card(1)] }) })];
    expect(listed({ minVramMib: 16 * GIB }, two)).toEqual(["x"]);
    expect(listed({ minVramPerCardMib: 9 * GIB }, two)).toEqual([]);
    expect(listed({ maxCpuMillicores: 7999 }, two)).toEqual([]);
    expect(listed({ minMemoryMib: GIB, maxMemoryMib: 32 * GIB, maxVramMib: 16 * GIB }, two)).toEqual(["x"]);
  });
});
