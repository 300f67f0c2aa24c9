import { agentView, gateAgent, type AgentFacts, type Sample } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import { agentCapacityFromWire, gateAgentFromFigures } from "./capacity-figures.ts";
import { agentCapacityToWire, getAgentCapacityResponse } from "./capacity.ts";
import { descriptorRegistry } from "./descriptors.ts";
import * as wire from "./gen/index.ts";

const GIB = 1024;

const card = (
  index: number,
  model: string,
  fields: Partial<Sample["cards"][number]> = {},
): Sample["cards"][number] => ({
  cardId: `card-${index}`,
  index,
  model,
  vramTotalMib: 8 * GIB,
  vramAvailableMib: 6 * GIB,
  vramOfferMib: 8 * GIB,
  declared: false,
  sharedMemory: false,
  ...fields,
});

const sample: Sample = {
  sampledAtMs: 1_700_000_000_000,
  cpu: { total: 16_000, available: 12_000, offer: 14_000, declared: false },
  cpuLoadPercent: 25,
  memory: { total: 64 * GIB, available: 48 * GIB, offer: 64 * GIB, declared: true },
  cards: [card(1, "RTX 4090"), card(0, "RTX 4070", { declared: true }), card(2, "RTX 4070")],
  attempts: [],
};

const facts: AgentFacts = {
  agentId: "0b9e6f0e-0d3a-4b7c-8f47-3f2a9c5d1e00",
  agentType: "desktop",
  poolName: "default",
  labels: { zone: "attic" },
  status: "online",
  attached: true,
  cordoned: false,
  draining: false,
  ownerHold: false,
  sample,
  reservations: [
    {
      attemptId: "a",
      reserved: {
        cpuMillicores: 2_000,
        memoryMib: 4 * GIB,
        cards: [{ cardId: "card-1", vramMib: 2 * GIB, exclusive: false }],
      },
      expectedEndAtMs: null,
    },
    {
      attemptId: "b",
      reserved: { cpuMillicores: 500, memoryMib: 0, cards: [{ cardId: "card-2", vramMib: 0, exclusive: true }] },
      expectedEndAtMs: null,
    },
  ],
};

const extras = { hostname: "attic-1", expectedAvailableAtMs: 1_700_000_060_000 };

describe("capacity", () => {
  it("R-CAP-1: shows what is free as available, with the measurement beside", () => {
    const capacity = agentCapacityToWire(agentView(facts), extras);
    expect(capacity).toMatchObject({
      agentId: facts.agentId,
      status: wire.AgentStatus.AGENT_STATUS_ONLINE,
      // 16 cores less 4 foreign leaves 12, within the offer of 14; 2.5 are promised.
      cpuCoresAvailable: 9.5,
      cpuCoresPhysical: 16,
      cpuLoad: 25,
      // Declared: nothing foreign is taken off.
      memoryAvailableGb: 60,
      memoryTotalGb: 64,
      gpuVramAvailableGb: 8 + 4 + 0,
      gpuVramTotalGb: 24,
      gpuType: "RTX 4070, RTX 4090",
      timestamp: { seconds: 1_700_000_000, nanos: 0 },
      measured: { cpuCoresAvailable: 12, memoryAvailableGb: 48, gpuVramAvailableGb: 18 },
      offered: { cpuCores: 14, memoryGb: 64, gpuVramGb: 24 },
      reserved: { cpuCores: 2.5, memoryGb: 4, gpuVramGb: 10, reservations: 2 },
      declared: ["memory", "gpu"],
      hostname: "attic-1",
      expectedAvailableAt: { seconds: 1_700_000_060, nanos: 0 },
    });
    expect(capacity.gpus.map(({ index, exclusive }) => [index, exclusive])).toEqual([
      [0, false],
      [1, false],
      [2, true],
    ]);
  });

  it("R-CAP-3: shows zeros without metrics, and no time", () => {
    const capacity = agentCapacityToWire(agentView({ ...facts, sample: null, reservations: [] }), {
      hostname: "",
      expectedAvailableAtMs: null,
    });
    expect(capacity).toMatchObject({
      cpuCoresAvailable: 0,
      memoryTotalGb: 0,
      gpuVramTotalGb: 0,
      gpuType: "",
      gpus: [],
    });
    expect(capacity.timestamp).toBeUndefined();
    expect(capacity.expectedAvailableAt).toBeUndefined();
    expect(capacity.measured).toEqual({ cpuCoresAvailable: 0, memoryAvailableGb: 0, gpuVramAvailableGb: 0 });
  });

  it("R-CAP-7: GetAgentCapacityResponse has the fields of AgentCapacity, and their figures", () => {
    const fieldsOf = (name: string): readonly unknown[] =>
      descriptorRegistry()
        .getMessage(name)!
        .fields.map(({ name: field, number, fieldKind, scalar, message, enum: enumeration }) => {
          const type = scalar ?? message?.typeName ?? enumeration?.typeName;
          return [field, number, fieldKind, type];
        });
    const fields = fieldsOf("headroom.registry.v1.AgentCapacity");
    expect(fields.length).toBeGreaterThan(20);
    expect(fieldsOf("headroom.registry.v1.GetAgentCapacityResponse")).toEqual(fields);

    const capacity = agentCapacityToWire(agentView(facts), extras);
    const bytes = wire.AgentCapacity.encode(capacity).finish();
    const answer = wire.GetAgentCapacityResponse.encode(getAgentCapacityResponse(capacity)).finish();
    expect(Buffer.from(answer).equals(Buffer.from(bytes))).toBe(true);
  });

  it("R-PAUSE-2: the gate judges the same from an answer as from the registry's own view", () => {
    for (const view of [
      agentView(facts),
      agentView({ ...facts, sample: null }),
      agentView({ ...facts, sample: { ...sample, cards: [] }, status: "suspect" }),
    ]) {
      const bytes = wire.AgentCapacity.encode(agentCapacityToWire(view, extras)).finish();
      const read = agentCapacityFromWire(wire.AgentCapacity.decode(bytes));
      expect(read.kind === "ok" && gateAgentFromFigures(read.value)).toEqual(gateAgent(view));
    }
  });

  it("refuses a capacity whose status it does not know", () => {
    const capacity = wire.AgentCapacity.fromPartial({ agentId: facts.agentId });
    expect(agentCapacityFromWire(capacity, "agents[0]")).toMatchObject({ kind: "invalid", field: "agents[0].status" });
  });
});
