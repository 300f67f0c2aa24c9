import { describe, expect, it } from "vitest";
import { agentWith, sampleWith } from "../test-agents.test-helper.ts";
import { readOrder } from "./order-by.ts";

describe("readOrder", () => {
  it("is by most free VRAM unless told otherwise", () => {
    expect(readOrder("")).toMatchObject({ figure: { name: "gpu_vram_available_gb" }, descending: true });
    expect(readOrder("  cpu_load  ")).toMatchObject({ figure: { name: "cpu_load" }, descending: false });
    expect(readOrder("hostname asc")).toMatchObject({ figure: { name: "hostname" }, descending: false });
  });

  it.each([
    ["cpu_cores_available", 3_000],
    ["cpu_cores_physical", 16_000],
    ["cpu_load", 10],
    ["memory_available_gb", 65_536],
    ["memory_total_gb", 65_536],
    ["gpu_vram_available_gb", 24_576],
    ["gpu_vram_total_gb", 24_576],
    ["timestamp", 1_000],
    ["hostname", "desk-1"],
  ])("sorts by %s", (field, value) => {
    expect(readOrder(field).figure.valueOf(agentWith({ sample: sampleWith(3) }))).toBe(value);
    expect(readOrder(field).figure.valueOf(agentWith({ sample: null }))).toBeDefined();
  });

  it.each(["colour", "cpu_load up", "cpu_load desc desc", "constructor", "__proto__"])("%s is no order", (text) => {
    expect(() => readOrder(text)).toThrow(/order_by.*cpu_cores_available/);
  });
});
