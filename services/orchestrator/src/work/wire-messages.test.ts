import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { resultFromWire } from "./wire-messages.ts";

const finished = (used: Partial<wire.MeasuredUse>): wire.AttemptFinished =>
  wire.AttemptFinished.fromPartial({
    attemptId: "0469d56d-2b5a-478c-a20d-2e9b78ac6edb",
    fence: 1,
    outcome: wire.AttemptOutcome.ATTEMPT_OUTCOME_EXITED,
    used,
  });

describe("a result from the wire", () => {
  it("keeps what was measured", () => {
    const used = { cpuSeconds: 1.5, memoryPeakGb: 2, gpuVramPeakGb: 0.5, wallTime: { seconds: 3, nanos: 0 } };
    expect(resultFromWire(finished(used), "agent")).toMatchObject({
      kind: "ok",
      value: { used: { cpuSeconds: 1.5, memoryPeakMib: 2_048, gpuVramPeakMib: 512, wallTimeMs: 3_000 } },
    });
  });

  it.each([
    [7, 7],
    [-1, 0],
    [Number.MAX_SAFE_INTEGER + 1, 0],
  ])("that tells %i as the number of its last output counts as %i", (lastOutputSeq, counted) => {
    expect(resultFromWire({ ...finished({}), lastOutputSeq }, "agent")).toMatchObject({
      kind: "ok",
      value: { lastOutputSeq: counted },
    });
  });

  it.each([-9e-323, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e300])(
    "counts though %s was measured beside it",
    (figure) => {
      const used = {
        cpuSeconds: figure,
        memoryPeakGb: figure,
        gpuVramPeakGb: figure,
        wallTime: { seconds: -5, nanos: 0 },
      };
      expect(resultFromWire(finished(used), "agent")).toMatchObject({
        kind: "ok",
        value: { used: { cpuSeconds: 0, memoryPeakMib: 0, gpuVramPeakMib: 0, wallTimeMs: 0 } },
      });
    },
  );
});
