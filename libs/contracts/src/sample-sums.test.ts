import type { AttemptUse, Card, Sample } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import { sampleFromWire, sampleToWire } from "./sample.ts";
import { MAX_UNITS } from "./units.ts";

const HALF = MAX_UNITS / 2;

const cardOf = (index: number, vramTotalMib: number): Card => ({
  cardId: `gpu-${index}`,
  index,
  model: "m",
  vramTotalMib,
  vramAvailableMib: vramTotalMib,
  vramOfferMib: vramTotalMib,
  declared: false,
  sharedMemory: false,
});

const useOf = (last: number, used: Partial<AttemptUse["used"]>): AttemptUse => ({
  attemptId: `0b9e6f0e-0d3a-4b7c-8f47-3f2a9c5d1e0${last}`,
  fence: 1,
  used: { cpuMillicores: 0, memoryMib: 0, cards: [], ...used },
});

const vramOf = (...amounts: readonly number[]): Partial<AttemptUse["used"]> => ({
  cards: amounts.map((vramMib, index) => ({ cardId: `gpu-${index}`, vramMib, exclusive: false })),
});

function read(parts: Partial<Sample>): ReturnType<typeof sampleFromWire> {
  const all = { total: MAX_UNITS, available: MAX_UNITS, offer: MAX_UNITS, declared: false };
  const sample = { sampledAtMs: 1, cpu: all, cpuLoadPercent: 0, memory: all, cards: [], attempts: [], ...parts };
  return sampleFromWire(sampleToWire(sample), "hello.sample");
}

describe("the sums of a sample", () => {
  it.each<[string, Partial<Sample>]>([
    ["cards[1].vram_mib.total", { cards: [cardOf(0, MAX_UNITS), cardOf(1, MAX_UNITS)] }],
    ["cards[2].vram_mib.total", { cards: [cardOf(0, HALF), cardOf(1, HALF), cardOf(2, 1)] }],
    [
      "attempts[1].cpu_millicores",
      { attempts: [useOf(1, { cpuMillicores: MAX_UNITS }), useOf(2, { cpuMillicores: MAX_UNITS })] },
    ],
    ["attempts[1].memory_mib", { attempts: [useOf(1, { memoryMib: MAX_UNITS }), useOf(2, { memoryMib: 1 })] }],
    ["attempts[0].cards", { attempts: [useOf(1, vramOf(MAX_UNITS, MAX_UNITS))] }],
    ["attempts[1].cards", { attempts: [useOf(1, vramOf(HALF, HALF)), useOf(2, vramOf(0, 1))] }],
  ])("R-CAP-1: beyond what readers can be told are refused, naming %s and the way out", (field, parts) => {
    expect(read(parts)).toEqual({
      kind: "invalid",
      field: `hello.sample.${field}`,
      description: expect.stringMatching(
        /^makes the sum over all .* more than 1125899906842624; give each .* in (MiB|millicores)$/,
      ),
    });
  });

  it("at the limit are taken", () => {
    const cards = [cardOf(0, HALF), cardOf(1, HALF)];
    const half = { cpuMillicores: HALF, memoryMib: HALF, ...vramOf(HALF / 2, HALF / 2) };
    expect(read({ cards, attempts: [useOf(1, half), useOf(2, half)] })).toMatchObject({ kind: "ok" });
  });
});
