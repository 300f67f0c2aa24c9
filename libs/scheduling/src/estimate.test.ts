import { describe, expect, it } from "vitest";
import { estimateRoom } from "./estimate.ts";
import { desktop, held } from "./fixtures.test-helper.ts";
import { normalizeNeeds } from "./needs.ts";

const needs = normalizeNeeds({ cpuMillicores: 6000 });

describe("estimate", () => {
  it("R-CAP-9: now, where there is room now", () => {
    expect(estimateRoom([desktop("a")], needs, 100)).toEqual({ agentId: "a", earliestMs: 100, latestMs: 100 });
  });

  it("R-CAP-9: when enough of the known ends have passed, on the agent where that is first", () => {
    const views = [
      desktop("late", { reservations: [held("x", { cpuMillicores: 8000 }, 9000)] }),
      desktop("soon", {
        reservations: [held("y", { cpuMillicores: 2000 }, 1000), held("z", { cpuMillicores: 6000 }, 3000)],
      }),
    ];
    expect(estimateRoom(views, needs, 1000)).toEqual({ agentId: "soon", earliestMs: 3000, latestMs: 4000 });
  });

  it("R-CAP-9: an end that has passed is expected any moment", () => {
    const views = [desktop("a", { reservations: [held("x", { cpuMillicores: 8000 }, 10)] })];
    expect(estimateRoom(views, needs, 5000)).toMatchObject({ earliestMs: 5000 });
  });

  it("R-CAP-9: unknown where no known end makes room, or the agent is not to be used", () => {
    const reservations = [held("x", { cpuMillicores: 8000 }, 10)];
    expect(estimateRoom([desktop("a", { reservations: [held("x", { cpuMillicores: 8000 })] })], needs, 0)).toBeNull();
    expect(estimateRoom([desktop("a", { reservations, cordoned: true })], needs, 0)).toBeNull();
    expect(estimateRoom([desktop("a", { reservations })], normalizeNeeds({ cpuMillicores: 9000 }), 0)).toBeNull();
    expect(estimateRoom([], needs, 0)).toBeNull();
  });
});
