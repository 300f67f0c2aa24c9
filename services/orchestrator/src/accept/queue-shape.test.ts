import { normalizeNeeds, shapeKey } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import { queueShape } from "./queue-shape.ts";

const many = (value: string) =>
  normalizeNeeds({ labels: Object.fromEntries(Array.from({ length: 32 }, (_, index) => [`key-${index}`, value])) });

describe("the shape under which a task stands in the queue", () => {
  it("is the canonical text of ordinary needs, and a digest of long ones that fits an index", () => {
    const needs = normalizeNeeds({ cpuMillicores: 500 });
    expect(queueShape(needs)).toBe(shapeKey(needs));
    const long = queueShape(many("\u{1f980}".repeat(60)));
    expect(Buffer.byteLength(long)).toBeLessThan(100);
    expect(queueShape(many("\u{1f980}".repeat(60)))).toBe(long);
    expect(queueShape(many("\u{1f980}".repeat(59)))).not.toBe(long);
  });
});
