import { wire } from "@headroom/contracts";
import type { Amounts } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import { createMachineRoom } from "./machine-room.ts";

const amounts = (cpuMillicores: number, memoryMib = 0, cards: Amounts["cards"] = []): Amounts => ({
  cpuMillicores,
  memoryMib,
  cards,
});
const onCard = (vramMib: number, exclusive = false, cardId = "gpu-0"): Amounts =>
  amounts(0, 0, [{ cardId, vramMib, exclusive }]);

function room(isShared = false) {
  const machine = createMachineRoom();
  machine.note(
    wire.Sample.fromPartial({
      cpuMillicores: { total: 4_000, available: 0 },
      memoryMib: { total: 8_192, available: 0 },
      cards: [{ cardId: "gpu-0", vramMib: { total: 24_576, available: 0 }, sharedMemory: isShared }],
    }),
  );
  return machine;
}

describe("the room of a machine, as its agent knows it", () => {
  it("takes what fits to the last millicore and MiB, and nothing more", () => {
    expect(room().fits(amounts(1_000, 4_096), [amounts(3_000, 4_096)])).toBe(true);
    expect(room().fits(amounts(1_001), [amounts(3_000)])).toBe(false);
    expect(room().fits(amounts(0, 4_097), [amounts(0, 4_096)])).toBe(false);
  });

  it("counts each card for itself, and leaves an exclusive one alone", () => {
    expect(room().fits(onCard(12_288), [onCard(12_288)])).toBe(true);
    expect(room().fits(onCard(12_289), [onCard(12_288)])).toBe(false);
    expect(room().fits(onCard(1), [onCard(1, true)])).toBe(false);
    expect(room().fits(onCard(1, true), [onCard(1)])).toBe(false);
    expect(room().fits(onCard(24_576, true), [amounts(4_000, 8_192)])).toBe(true);
  });

  it("counts the VRAM of a card that shares the machine's memory as memory too", () => {
    expect(room(true).fits(onCard(4_096), [amounts(0, 4_096)])).toBe(true);
    expect(room(true).fits(onCard(4_097), [amounts(0, 4_096)])).toBe(false);
  });

  it("judges nothing that it does not know: before the first sample, and of a card that was not read", () => {
    expect(createMachineRoom().fits(amounts(64_000), [amounts(64_000)])).toBe(true);
    expect(room().fits(onCard(90_000, false, "gpu-7"), [])).toBe(true);
  });
});
