import { describe, expect, it } from "vitest";
import type { Facts } from "../../support/invariants/facts.ts";
import { findForeignPromised } from "./find-foreign.ts";
import { type ForeignUse, noUse } from "./machine.ts";
import type { World } from "./world.ts";

const shape = { cpuCores: 4, memoryMib: 8_192, cards: [{ model: "card", vramMib: 10_000 }] };

/** An owner who begins to use so much at 100 s; at `atMs` room is promised to an attempt. */
function judged(use: Partial<ForeignUse>, atMs: number, over: Partial<Facts> = {}): number {
  const foreign = [
    { ...noUse, fromMs: 0 },
    { ...noUse, ...use, fromMs: 100_000 },
  ];
  const world = {
    machines: [{ name: "desktop", agentId: "agent", shape, foreign }],
    engine: { wallMs: 0 },
    postgres: { nowMs: 0 },
  } as unknown as World;
  const amounts = {
    cpuMillicores: 2_000,
    memoryMib: 1_000,
    cards: [{ cardId: "gpu-0", vramMib: 4_000, exclusive: false }],
  };
  const promise = {
    row: "reservation",
    seq: 1,
    commit: "1",
    atMs,
    attemptId: "a",
    agentId: "agent",
    state: "unconfirmed",
    fence: 1,
    amounts,
  };
  return findForeignPromised(world, { changes: [promise], stalls: [], ...over } as unknown as Facts).length;
}

describe("V25: what an owner uses is promised to nobody", () => {
  it.each([
    ["cores", { cores: 3 }, { cores: 2 }],
    ["memory", { memoryMib: 7_500 }, { memoryMib: 7_000 }],
    ["VRAM", { vramMib: 6_500 }, { vramMib: 6_000 }],
  ] as const)("%s, once it has been told, and not beyond what is left", (_, tooMuch, fitting) => {
    expect(judged(tooMuch, 180_000)).toBe(1);
    expect(judged(fitting, 180_000)).toBe(0);
    expect(judged(tooMuch, 170_000)).toBe(0);
    expect(judged(tooMuch, 180_000, { stalls: [{ fromMs: 179_000, toMs: 181_000 }] })).toBe(0);
  });
});
