import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { HeadroomError } from "../index.ts";
import { createMessageCheck } from "./validator.ts";

const id = "0b5c9c9e-6a3b-4b47-8d5f-2d5a2c9d1f00";

/** Field and description of each violation; empty when the message is fine. */
function violations(typeName: string, bytes: Uint8Array): Record<string, string> {
  try {
    createMessageCheck(typeName)(bytes);
    return {};
  } catch (error) {
    if (!(error instanceof HeadroomError) || error.code !== "INVALID_ARGUMENT") throw error;
    return Object.fromEntries(error.fieldViolations.map(({ field, description }) => [field, description]));
  }
}

const capacity = (request: Partial<wire.ListAvailableCapacityRequest>): Record<string, string> =>
  violations(
    "headroom.registry.v1.ListAvailableCapacityRequest",
    wire.ListAvailableCapacityRequest.encode(wire.ListAvailableCapacityRequest.fromPartial(request)).finish(),
  );

const plan = (tasks: unknown[]): Record<string, string> =>
  violations(
    "headroom.orchestrator.v1.DispatchPlanRequest",
    // Tests send what the types forbid, too.
    wire.DispatchPlanRequest.encode(
      wire.DispatchPlanRequest.fromPartial({ plan: { name: "p", tasks: tasks as wire.TaskSpec[] } }),
    ).finish(),
  );

const command = { argv: ["true"] };

describe("validation by the rules of the .proto", () => {
  it("R-CAP-4: refuses NaN, infinities, negative and absurd numbers, with field and value", () => {
    for (const absurd of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -1, 1e300]) {
      const found = capacity({ minGpuVramGb: absurd, minCpuCores: absurd });
      expect(Object.keys(found).sort()).toEqual(["min_cpu_cores", "min_gpu_vram_gb"]);
      expect(found["min_gpu_vram_gb"]).toContain(`, not ${absurd}`);
    }
    expect(capacity({ minCpuCores: 0.5 })).toHaveProperty("min_cpu_cores");
    expect(capacity({ minGpuVramGb: 0, minCpuCores: 1 })).toEqual({});
    expect(capacity({})).toEqual({});
  });

  it("names paths through lists and maps in the words of the .proto", () => {
    const good = { name: "ok", command };
    const found = plan([
      good,
      good,
      good,
      { name: "not ok!", command, needs: { gpuVramGb: Number.NaN, labels: { "": "x" } }, taskId: "zz" },
      { name: "x" },
    ]);
    expect(found["plan.tasks[3].name"]).toContain('"not ok!"');
    expect(found["plan.tasks[3].task_id"]).toContain('must be a valid UUID, not "zz"');
    expect(found["plan.tasks[3].needs.gpu_vram_gb"]).toContain("NaN");
    expect(found['plan.tasks[3].needs.labels[""]']).toContain("its key");
    expect(found).toHaveProperty("plan.tasks[4].command");
    expect(Object.keys(found).filter((field) => /tasks\[[012]\]/.test(field))).toEqual([]);
    expect(plan([])).toHaveProperty("plan.tasks");
  });

  it("refuses a NUL character in any text, in lists and maps too, which PostgreSQL could not keep", () => {
    const spec = {
      name: "t",
      command: { argv: ["ok", "a\0b"], env: { KEY: "\0" }, workingDir: "" },
      needs: { labels: { room: "x\0" }, gpuModels: ["\0"] },
    };
    expect(Object.keys(plan([spec])).sort()).toEqual([
      "plan.tasks[0].command.argv[1]",
      'plan.tasks[0].command.env["KEY"]',
      "plan.tasks[0].needs.gpu_models[0]",
      'plan.tasks[0].needs.labels["room"]',
    ]);
    // Zero bytes elsewhere are none of its business.
    expect(plan([{ name: "t", command, needs: { cpuCores: 2, memoryGb: 0 } }])).toEqual({});
  });

  it("refuses needs that contradict themselves", () => {
    for (const needs of [{ gpuVramGb: 4 }, { gpuExclusive: true }, { gpuModels: ["RTX"] }]) {
      expect(plan([{ name: "t", command, needs: { gpuCount: 0, ...needs } }])).toEqual({
        "plan.tasks[0].needs": expect.stringContaining("leave gpu_count out"),
      });
      expect(plan([{ name: "t", command, needs }])).toEqual({});
    }
    expect(plan([{ name: "t", command, needs: { gpuCount: 0, gpuVramGb: 0, gpuExclusive: false } }])).toEqual({});
  });

  it("tells a few of very many violations", () => {
    const found = plan(Array.from({ length: 5_000 }, () => ({ name: "", command })));
    expect(Object.keys(found)).toHaveLength(50);
  });

  it("does not repeat long values nor secrets", () => {
    const long = violations(
      "headroom.registry.v1.GetAgentCapacityRequest",
      wire.GetAgentCapacityRequest.encode({ agentId: "x".repeat(10_000) }).finish(),
    );
    expect(long["agent_id"]).toBe("must be a valid UUID");
    const secret = violations(
      "headroom.registry.v1.EnrollAgentRequest",
      wire.EnrollAgentRequest.encode(
        wire.EnrollAgentRequest.fromPartial({ joinToken: "s".repeat(513), agentId: id }),
      ).finish(),
    );
    expect(secret["join_token"]).not.toContain("sss");
  });

  it("bytes that are no such message are MALFORMED_MESSAGE", () => {
    const check = createMessageCheck("headroom.registry.v1.GetAgentCapacityRequest");
    expect(() => check(Buffer.from([0x0a, 0xff, 0xff]))).toThrow(
      expect.objectContaining({ code: "INVALID_ARGUMENT", reason: "MALFORMED_MESSAGE" }),
    );
  });

  it("a type without rules is not even decoded, an unknown one is a fault of ours", () => {
    expect(() =>
      createMessageCheck("headroom.orchestrator.v1.GetQueueStatusRequest")(Buffer.from([0xff])),
    ).not.toThrow();
    expect(() => createMessageCheck("headroom.Nothing")).toThrow(TypeError);
  });

  it("the rules of every request type can be compiled", () => {
    const types = Object.keys(wire).filter((name) => name.endsWith("Request"));
    expect(types.length).toBeGreaterThan(20);
    for (const each of [
      "registry.v1.HeartbeatRequest",
      "orchestrator.v1.AttachRequest",
      "registry.v1.ReserveCapacityRequest",
    ])
      createMessageCheck(`headroom.${each}`);
  });
});
