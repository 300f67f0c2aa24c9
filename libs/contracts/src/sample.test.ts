import type { Sample } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import * as wire from "./gen/index.ts";
import { sampleFromWire, sampleToWire } from "./sample.ts";

const attemptId = "0b9e6f0e-0d3a-4b7c-8f47-3f2a9c5d1e00";

const sample: Sample = {
  sampledAtMs: 1_700_000_000_123,
  cpu: { total: 16_000, available: 12_500, offer: 8_000, declared: false },
  cpuLoadPercent: 21.5,
  memory: { total: 65_536, available: 40_000, offer: 65_536, declared: true },
  cards: [
    {
      cardId: "GPU-1",
      index: 0,
      model: "NVIDIA RTX 4070",
      vramTotalMib: 12_282,
      vramAvailableMib: 9_000,
      vramOfferMib: 10_000,
      declared: false,
      sharedMemory: false,
    },
  ],
  attempts: [
    {
      attemptId,
      fence: 7,
      used: { cpuMillicores: 1_500, memoryMib: 2_048, cards: [{ cardId: "GPU-1", vramMib: 512, exclusive: true }] },
    },
  ],
};

/** The sample as it comes over the wire. */
const sent = (change: (message: wire.Sample) => void = () => undefined): wire.Sample => {
  const message = wire.Sample.decode(wire.Sample.encode(sampleToWire(sample)).finish());
  change(message);
  return message;
};

describe("sample", () => {
  it("comes back as it was", () => {
    expect(sampleFromWire(sent())).toEqual({ kind: "ok", value: sample });
  });

  it("reads an absent offer as all there is, and writes it so", () => {
    const message = sent();
    expect(message.memoryMib?.offer).toBeUndefined();
    expect(message.cpuMillicores?.offer).toBe(8_000);
  });

  it("says the utilization of cards that it is told", () => {
    const message = sampleToWire(sample, new Map([["GPU-1", 55]]));
    expect(message.cards[0]?.utilization).toBe(55);
    expect(sent().cards[0]?.utilization).toBe(0);
  });

  it("R-CAP-3: reads what was not measured as zero", () => {
    const read = sampleFromWire(wire.Sample.fromPartial({ sampledAt: { seconds: 1, nanos: 0 } }));
    const nothing = { total: 0, available: 0, offer: 0, declared: false };
    expect(read).toMatchObject({ kind: "ok", value: { cpu: nothing, memory: nothing, cards: [], attempts: [] } });
  });

  it("takes available above total as total", () => {
    const read = sampleFromWire(sent((message) => (message.cpuMillicores!.available = 99_000)));
    expect(read).toMatchObject({ kind: "ok", value: { cpu: { total: 16_000, available: 16_000 } } });
  });

  it.each<[string, (message: wire.Sample) => void]>([
    ["hello.sample.sampled_at", (message) => (message.sampledAt = undefined)],
    ["hello.sample.cpu_millicores.total", (message) => (message.cpuMillicores!.total = Number.NaN)],
    ["hello.sample.memory_mib.available", (message) => (message.memoryMib!.available = -1)],
    ["hello.sample.cpu_millicores.offer", (message) => (message.cpuMillicores!.offer = 1e300)],
    ["hello.sample.cards[1].card_id", (message) => message.cards.push(message.cards[0]!)],
    ["hello.sample.cards[0].vram_mib.total", (message) => (message.cards[0]!.vramMib!.total = 0.5)],
    ["hello.sample.attempts[1].attempt_id", (message) => message.attempts.push(message.attempts[0]!)],
    ["hello.sample.attempts[0].cards[1].card_id", ({ attempts: [a] }) => a!.cards.push(a!.cards[0]!)],
    ["hello.sample.attempts[0].memory_mib", ({ attempts: [a] }) => (a!.memoryMib = Number.POSITIVE_INFINITY)],
  ])("refuses a sample that makes no sense, naming %s", (field, change) => {
    expect(sampleFromWire(sent(change), "hello.sample")).toMatchObject({ kind: "invalid", field });
  });
});
