import { normalizeNeeds } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import { amountsFromWire, amountsToWire } from "./amounts.ts";
import * as wire from "./gen/index.ts";
import { needsFromWire, needsToWire } from "./needs.ts";

describe("needs", () => {
  it("fills in the defaults", () => {
    expect(needsFromWire(undefined)).toEqual(normalizeNeeds({}));
    expect(needsFromWire(wire.ResourceNeeds.fromPartial({}))).toEqual(normalizeNeeds({}));
    expect(needsFromWire(wire.ResourceNeeds.fromPartial({ gpuVramGb: 3.2 }))).toMatchObject({
      cpuMillicores: 1000,
      gpuCount: 1,
      gpuVramMib: 3277,
      gpuExclusive: false,
    });
    expect(needsFromWire(wire.ResourceNeeds.fromPartial({ gpuCount: 2 })).gpuExclusive).toBe(true);
  });

  it("tells zero from absent", () => {
    expect(needsFromWire(wire.ResourceNeeds.fromPartial({ cpuCores: 0 })).cpuMillicores).toBe(0);
    expect(needsFromWire(wire.ResourceNeeds.fromPartial({ gpuVramGb: 2, gpuCount: 0 })).gpuCount).toBe(0);
  });

  it("comes back as it was", () => {
    const needs = normalizeNeeds({
      cpuMillicores: 1100,
      memoryMib: 3277,
      gpuCount: 2,
      gpuVramMib: 103,
      gpuModels: ["4090"],
      labels: { zone: "attic" },
      pool: "render",
      agentId: "0b9e6f0e-0d3a-4b7c-8f47-3f2a9c5d1e00",
    });
    expect(needsFromWire(needsToWire(needs))).toEqual(needs);
    expect(needsFromWire(needsToWire(normalizeNeeds({})))).toEqual(normalizeNeeds({}));
  });

  it("gives amounts back as they were", () => {
    const amounts = { cpuMillicores: 333, memoryMib: 7, cards: [{ cardId: "GPU-1", vramMib: 4097, exclusive: true }] };
    expect(amountsFromWire(amountsToWire(amounts))).toEqual(amounts);
    expect(amountsFromWire(undefined)).toEqual({ cpuMillicores: 0, memoryMib: 0, cards: [] });
  });
});
