import { create, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { descriptorRegistry } from "./descriptors.ts";
import * as wire from "./gen/index.ts";
import { jsonToMessageBytes } from "./json-read.ts";
import { messageToJson } from "./json-write.ts";
import { timestampFromMs } from "./time.ts";

const CAPACITY = "headroom.registry.v1.AgentCapacity";
const DISPATCH = "headroom.orchestrator.v1.DispatchPlanRequest";
const NEEDS = "headroom.common.v1.ResourceNeeds";

function bytesOf(type: string, json: unknown): Uint8Array {
  const read = jsonToMessageBytes(type, json);
  if (read.kind === "invalid") throw new Error(JSON.stringify(read.violations));
  return read.value;
}

function violationsOf(type: string, json: unknown): Record<string, string> {
  const read = jsonToMessageBytes(type, json);
  if (read.kind === "ok") throw new Error("was accepted");
  return Object.fromEntries(read.violations.map(({ field, description }) => [field, description]));
}

describe("messageToJson", () => {
  it("R-CAP-6: prints snake_case names, zeros and lower-case words", () => {
    const capacity = wire.AgentCapacity.fromPartial({
      agentId: "a",
      status: wire.AgentStatus.AGENT_STATUS_ONLINE,
      agentType: wire.AgentType.AGENT_TYPE_DESKTOP,
      timestamp: timestampFromMs(1_700_000_000_120),
      labels: { zone: "attic", ["__proto__"]: "x" },
      gpus: [{ cardId: "c" }],
    });
    const json = messageToJson(CAPACITY, capacity);
    expect(json).toMatchObject({
      agent_id: "a",
      status: "online",
      agent_type: "desktop",
      cpu_cores_available: 0,
      gpu_type: "",
      cordoned: false,
      declared: [],
      timestamp: "2023-11-14T22:13:20.120Z",
    });
    expect(json["gpus"]).toMatchObject([{ card_id: "c", vram_total_gb: 0, index: 0 }]);
    expect(json).not.toHaveProperty("measured");
    expect(json).not.toHaveProperty("expected_available_at");
    // The encoded message gives the same.
    expect(messageToJson(CAPACITY, wire.AgentCapacity.encode(capacity).finish())).toEqual(json);
  });

  it("prints durations as text, bytes as base64, and int64 as numbers when they are safe", () => {
    expect(
      messageToJson(
        "headroom.registry.v1.Ack",
        wire.Ack.fromPartial({ seq: 5, nextInterval: { seconds: 3, nanos: 0 } }),
      ),
    ).toEqual({ seq: 5, next_interval: "3s", want_full: false, evict_attempt_ids: [] });
    const output = wire.AttemptOutput.fromPartial({
      attemptId: "a",
      data: Buffer.from("hi"),
      stream: wire.OutputStream.OUTPUT_STREAM_STDERR,
    });
    expect(messageToJson("headroom.orchestrator.v1.AttemptOutput", output)).toMatchObject({
      data: "aGk=",
      stream: "stderr",
    });
    const type = descriptorRegistry().getMessage("headroom.registry.v1.Ack")!;
    const huge = toBinary(type, create(type, { seq: 2n ** 60n }));
    expect(messageToJson("headroom.registry.v1.Ack", huge)).toMatchObject({ seq: String(2n ** 60n) });
  });

  it("keeps absent optionals apart from zeros, and prints the number of an enum that it does not know", () => {
    expect(messageToJson(NEEDS, wire.ResourceNeeds.fromPartial({}))).not.toHaveProperty("cpu_cores");
    expect(messageToJson(NEEDS, wire.ResourceNeeds.fromPartial({ cpuCores: 0 }))).toMatchObject({ cpu_cores: 0 });
    const type = descriptorRegistry().getMessage(CAPACITY)!;
    const later = toBinary(type, create(type, { status: 77 }));
    expect(messageToJson(CAPACITY, later)).toMatchObject({ status: 77 });
  });

  it("prints the chosen member of a oneof", () => {
    const result: wire.ReserveResult = { attemptId: "a", outcome: { $case: "staleFence", value: { currentFence: 4 } } };
    expect(messageToJson("headroom.registry.v1.ReserveResult", result)).toEqual({
      attempt_id: "a",
      stale_fence: { current_fence: 4 },
    });
  });

  it("throws for a type that does not exist", () => {
    expect(() => messageToJson("headroom.Nope", {})).toThrow(TypeError);
    expect(() => jsonToMessageBytes("headroom.Nope", {})).toThrow(TypeError);
  });
});

describe("jsonToMessageBytes", () => {
  it("reads what messageToJson prints", () => {
    const request = wire.DispatchPlanRequest.fromPartial({
      plan: {
        name: "render",
        priority: -3,
        resumeAfter: timestampFromMs(1_700_000_000_000),
        labels: { a: "b" },
        tasks: [
          {
            name: "one",
            command: { argv: ["true"], env: { ["__proto__"]: "x" } },
            needs: { cpuCores: 0.5 },
            runTimeout: { seconds: 0, nanos: 500_000_000 },
            priority: 0,
          },
        ],
      },
    });
    const json = messageToJson(DISPATCH, request);
    const bytes = bytesOf(DISPATCH, JSON.parse(JSON.stringify(json)));
    expect(messageToJson(DISPATCH, bytes)).toEqual(json);
    expect(wire.DispatchPlanRequest.decode(bytes).plan?.tasks[0]?.priority).toBe(0);
  });

  it("accepts words and full names of enums, camelCase names, numbers as text, and null for absent", () => {
    const type = "headroom.registry.v1.ListAgentsRequest";
    for (const word of ["online", "ONLINE", "AGENT_STATUS_ONLINE", 1]) {
      expect(wire.ListAgentsRequest.decode(bytesOf(type, { statuses: [word] })).statuses).toEqual([1]);
    }
    expect(wire.ListAgentsRequest.decode(bytesOf(type, { pageSize: "7", pool_name: null }))).toMatchObject({
      pageSize: 7,
      poolName: "",
    });
  });

  it("names every field at fault, with the way out", () => {
    const violations = violationsOf(DISPATCH, {
      plan: {
        nam: "x",
        priority: 1.5,
        resume_after: "tomorrow",
        labels: { a: 1 },
        tasks: [{ name: 7, run_timeout: 30, needs: { cpu_cores: "NaN", gpu_count: -1, gpu_exclusive: "yes" } }],
      },
    });
    expect(Object.keys(violations).toSorted()).toEqual(
      [
        'plan.labels["a"]',
        "plan.nam",
        "plan.priority",
        "plan.resume_after",
        "plan.tasks[0].name",
        "plan.tasks[0].needs.cpu_cores",
        "plan.tasks[0].needs.gpu_count",
        "plan.tasks[0].needs.gpu_exclusive",
        "plan.tasks[0].run_timeout",
      ].toSorted(),
    );
    expect(violations["plan.nam"]).toContain("the fields are name, tasks, priority");
    expect(violations["plan.priority"]).toContain("whole number");
    expect(violations["plan.resume_after"]).toContain('not "tomorrow"');
    expect(violations["plan.tasks[0].run_timeout"]).toContain('"3s"');
  });

  it("lists the allowed words of an enum", () => {
    const violations = violationsOf("headroom.registry.v1.ListAgentsRequest", { statuses: ["online", "asleep"] });
    expect(violations).toEqual({
      "statuses[1]": 'must be one of online, suspect, offline, unknown, not "asleep"',
    });
  });

  it("takes one member of a oneof, and one spelling of a name", () => {
    const type = "headroom.registry.v1.HeartbeatRequest";
    expect(violationsOf(type, { beat: { seq: 1 }, goodbye: {} })).toHaveProperty("goodbye");
    expect(violationsOf("headroom.registry.v1.GetAgentRequest", { agent_id: "a", agentId: "b" })).toHaveProperty(
      "agentId",
    );
  });

  it.each<[unknown]>([[null], [[]], ["text"], [5], [true]])("refuses %j as a message", (json) => {
    expect(violationsOf(NEEDS, json)).toHaveProperty("");
  });

  it("refuses what does not fit its type", () => {
    const type = "headroom.registry.v1.Beat";
    expect(violationsOf(type, { seq: 2 ** 53 })).toHaveProperty("seq");
    expect(violationsOf(type, { seq: "1e3x" })).toHaveProperty("seq");
    expect(violationsOf(type, { attached: "true" })).toHaveProperty("attached");
    expect(violationsOf("headroom.orchestrator.v1.AttemptOutput", { data: "***" })).toHaveProperty("data");
    expect(violationsOf("headroom.orchestrator.v1.AttemptOutput", { data: "a" })).toBeDefined();
    expect(violationsOf(NEEDS, { gpu_models: "x" })).toHaveProperty("gpu_models");
    expect(violationsOf(NEEDS, { labels: [] })).toHaveProperty("labels");
  });

  it("never throws, whatever JSON it is given", () => {
    const types = [NEEDS, DISPATCH, "headroom.registry.v1.HeartbeatRequest", "headroom.registry.v1.ListAgentsRequest"];
    const names = [
      "plan",
      "tasks",
      "name",
      "needs",
      "labels",
      "cpu_cores",
      "hello",
      "beat",
      "seq",
      "statuses",
      "deadline",
    ];
    const key = fc.oneof(fc.constantFrom(...names), fc.string());
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof({ maxDepth: 4 }, fc.jsonValue(), fc.array(tie("tree")), fc.dictionary(key, tie("tree"))),
    }));
    fc.assert(
      fc.property(fc.constantFrom(...types), tree, (type, json) => {
        expect(["ok", "invalid"]).toContain(jsonToMessageBytes(type, json).kind);
      }),
    );
  });

  it("a long row of digits that is no number costs no more than its length", () => {
    const begunMs = performance.now();
    const digits = `${"1".repeat(100_000)}x`;
    expect(violationsOf(CAPACITY, { memory_total_gb: digits })).toHaveProperty("memory_total_gb");
    expect(performance.now() - begunMs).toBeLessThan(1_000);
  });

  it("stops counting at some number of faults", () => {
    const json = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`x${index}`, 1]));
    const read = jsonToMessageBytes(NEEDS, json);
    expect(read.kind === "invalid" && read.violations.length).toBe(20);
  });
});
