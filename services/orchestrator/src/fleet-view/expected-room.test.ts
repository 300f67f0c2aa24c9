import { agentCapacityFromWire, type AgentCapacityFigures, wire } from "@headroom/contracts";
import { manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { createExpectedRoom } from "./expected-room.ts";

/** 8 cores and a card of 8 GB; so much of it is free. */
function agent(freeCores: number, freeVramGb: number, exclusive = false): AgentCapacityFigures {
  const read = agentCapacityFromWire(
    wire.AgentCapacity.fromPartial({
      agentId: "one",
      agentType: wire.AgentType.AGENT_TYPE_DESKTOP,
      status: wire.AgentStatus.AGENT_STATUS_ONLINE,
      timestamp: { seconds: 1, nanos: 0 },
      cpuCoresPhysical: 8,
      cpuCoresAvailable: freeCores,
      memoryTotalGb: 16,
      memoryAvailableGb: 8,
      gpus: [{ cardId: "card", index: 0, vramTotalGb: 8, vramAvailableGb: freeVramGb, exclusive }],
      gpuVramTotalGb: 8,
      gpuVramAvailableGb: freeVramGb,
    }),
  );
  if (read.kind === "invalid") throw new Error(read.description);
  return read.value;
}

const amounts = {
  cpuMillicores: 2_000,
  memoryMib: 1_024,
  cards: [{ cardId: "card", vramMib: 4_096, exclusive: false }],
};
const figures = ({ cpu, memory, vram, cards }: AgentCapacityFigures) => ({
  cpu: cpu.free,
  memory: memory.free,
  vram: vram.free,
  cards: cards.map(({ vramFreeMib, exclusive }) => ({ vramFreeMib, exclusive })),
});

describe("expected room", () => {
  it("adds what attempts had, never more than there is, and takes an exclusive card's owner off it", () => {
    const expected = createExpectedRoom(manualPorts().clock);
    const full = agent(0, 0, true);
    expect(expected.with(full)).toBe(full);
    expected.add("one", amounts);
    expect(figures(expected.with(full))).toEqual({
      cpu: 2_000,
      memory: 9_216,
      vram: 4_096,
      cards: [{ vramFreeMib: 4_096, exclusive: true }],
    });
    expected.add("one", {
      cpuMillicores: 7_000,
      memoryMib: 0,
      cards: [{ cardId: "card", vramMib: 6_000, exclusive: true }],
    });
    expect(figures(expected.with(full))).toEqual({
      cpu: 8_000,
      memory: 9_216,
      vram: 8_192,
      cards: [{ vramFreeMib: 8_192, exclusive: false }],
    });
  });

  it("forgets after a second, when the registry tells of the agent, and when it refuses", async () => {
    const ports = manualPorts();
    const expected = createExpectedRoom(ports.clock);
    const full = agent(0, 0);
    expected.add("one", amounts);
    await ports.advance(999);
    expect(expected.isAny).toBe(true);
    await ports.advance(1);
    expect(expected.isAny).toBe(false);
    expect(expected.with(full)).toBe(full);
    for (const forget of [() => expected.told("one"), () => expected.clear()]) {
      expected.add("one", amounts);
      expect(expected.with(full)).not.toBe(full);
      forget();
      expect(expected.with(full)).toBe(full);
    }
  });

  it("covers what is no more than was known and expected, and nothing else", () => {
    const expected = createExpectedRoom(manualPorts().clock);
    const known = agent(1, 0);
    expect(expected.covers(known, agent(1, 0))).toBe(false);
    expected.add("one", amounts);
    expect(expected.covers(undefined, known)).toBe(false);
    expect(expected.covers(known, agent(3, 4))).toBe(true);
    expect(expected.covers(known, agent(4, 4))).toBe(false);
    expect(expected.covers(known, agent(3, 5))).toBe(false);
    expect(expected.covers(agent(1, 0, true), agent(3, 4))).toBe(false);
    expect(expected.covers({ ...known, cordoned: true }, agent(3, 4))).toBe(false);
    expect(expected.covers({ ...known, labels: { a: "b" } }, agent(3, 4))).toBe(false);
  });
});
