import { wire } from "@headroom/contracts";
import { expect, test } from "vitest";
import { stillListed } from "./still-listed.ts";

const sampleOf = (...attemptIds: string[]): wire.Sample =>
  wire.Sample.fromPartial({ cpuLoad: 7, attempts: attemptIds.map((attemptId) => ({ attemptId, fence: 1 })) });

test("DESIGN-3: what ended while it was measured is not listed, and all else stays as measured", () => {
  expect(stillListed(sampleOf("a", "b"), [{ attemptId: "b" }])).toEqual(sampleOf("b"));
});

test("what came while it was measured is not listed yet: it has no measured use", () => {
  const sample = sampleOf("a");
  expect(stillListed(sample, [{ attemptId: "a" }, { attemptId: "new" }])).toBe(sample);
});
