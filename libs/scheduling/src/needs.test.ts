import { describe, expect, it } from "vitest";
import { amountsFor, normalizeNeeds, shapeKey } from "./needs.ts";

describe("needs", () => {
  it("DESIGN-2: one core and no card are the defaults", () => {
    expect(normalizeNeeds({})).toEqual({
      cpuMillicores: 1000,
      memoryMib: 0,
      gpuCount: 0,
      gpuVramMib: 0,
      gpuExclusive: false,
      gpuModels: [],
      labels: {},
      pool: null,
      agentId: null,
    });
  });

  it("DESIGN-2: VRAM without a count means one card, shared", () => {
    expect(normalizeNeeds({ gpuVramMib: 4096 })).toMatchObject({ gpuCount: 1, gpuExclusive: false });
  });

  it("DESIGN-2: cards without VRAM means whole cards", () => {
    expect(normalizeNeeds({ gpuCount: 2 })).toMatchObject({ gpuCount: 2, gpuExclusive: true });
  });

  it("DESIGN-2: whole cards can be asked for or declined in words", () => {
    expect(normalizeNeeds({ gpuVramMib: 1, gpuExclusive: true }).gpuExclusive).toBe(true);
    expect(normalizeNeeds({ gpuCount: 1, gpuExclusive: false }).gpuExclusive).toBe(false);
    expect(normalizeNeeds({ gpuExclusive: true })).toMatchObject({ gpuCount: 1, gpuExclusive: true });
    expect(normalizeNeeds({ gpuExclusive: false })).toMatchObject({ gpuCount: 0, gpuExclusive: false });
  });

  it("DESIGN-2: a model is of a card, so one is asked for", () => {
    expect(normalizeNeeds({ gpuModels: ["RTX 4090"] })).toMatchObject({ gpuCount: 1, gpuExclusive: true });
  });

  it("reserves the same amount on every card", () => {
    const needs = normalizeNeeds({ gpuCount: 2, gpuVramMib: 10, memoryMib: 5 });
    expect(amountsFor(needs, ["a", "b"])).toEqual({
      cpuMillicores: 1000,
      memoryMib: 5,
      cards: [
        { cardId: "a", vramMib: 10, exclusive: false },
        { cardId: "b", vramMib: 10, exclusive: false },
      ],
    });
  });

  it("gives equal shapes one key and different shapes different keys", () => {
    const one = normalizeNeeds({ gpuModels: ["B", "a", "b"], labels: { x: "1", a: "2" } });
    const other = normalizeNeeds({ gpuModels: ["A", "b"], labels: { a: "2", x: "1" } });
    expect(shapeKey(one)).toBe(shapeKey(other));
    expect(shapeKey(normalizeNeeds({ pool: "x" }))).not.toBe(shapeKey(normalizeNeeds({ agentId: "x" })));
    expect(shapeKey(normalizeNeeds({ cpuMillicores: 1 }))).not.toBe(shapeKey(normalizeNeeds({ memoryMib: 1 })));
  });
});
