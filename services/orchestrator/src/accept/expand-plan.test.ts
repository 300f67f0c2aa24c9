import { wire } from "@headroom/contracts";
import { SeededRandom } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { expandPlan } from "./expand-plan.ts";

const plan = wire.WorkPlan.fromPartial({
  name: "p",
  priority: 3,
  labels: { a: "1", b: "2" },
  resumeAfter: { seconds: 4_000_000_000, nanos: 0 },
  tasks: [
    { name: "one", command: { argv: ["true"], env: { B: "2", A: "1" } } },
    {
      name: "two",
      command: { argv: ["false"], workingDir: "/tmp" },
      dependsOn: ["one"],
      priority: 7,
      maxAttempts: 1,
      needs: { gpuVramGb: 1.5 },
      resumeAfter: { seconds: 4_100_000_000, nanos: 0 },
    },
  ],
});

describe("expandPlan", () => {
  it("fills in defaults, lets tasks override the plan, and turns names into ids", () => {
    const expanded = expandPlan(plan, null, new SeededRandom(1), () => null);
    const [one, two] = expanded.tasks;
    expect(one).toMatchObject({
      priority: 3,
      maxAttempts: 3,
      workLeaseMs: 300_000,
      resumeAfterMs: 4_000_000_000_000,
      needs: { cpuMillicores: 1_000, gpuCount: 0 },
    });
    expect(one?.command).toEqual({ argv: ["true"], env: { B: "2", A: "1" }, workingDir: null });
    expect(two).toMatchObject({
      priority: 7,
      maxAttempts: 1,
      resumeAfterMs: 4_100_000_000_000,
      needs: { gpuCount: 1, gpuVramMib: 1_536 },
      command: { workingDir: "/tmp" },
    });
    expect(two?.dependsOnTaskIds).toEqual([one?.taskId]);
    expect(expanded.namespace).toBe("default");
  });
});
