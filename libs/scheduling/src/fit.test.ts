import { describe, expect, it } from "vitest";
import type { AgentFacts } from "./agent-view.ts";
import { fit, type FitOptions } from "./fit.ts";
import { card, desktop, dimension, GIB, held, sample } from "./fixtures.test-helper.ts";
import { MISS_CODES, type MissCode } from "./miss.ts";
import { normalizeNeeds, type PartialNeeds } from "./needs.ts";

const gpuMachine = sample({ cards: [card(0), card(1, { model: "NVIDIA RTX 3080 Ti", vramTotalMib: 12 * GIB })] });

interface Case {
  readonly code: MissCode;
  readonly agent?: Partial<AgentFacts>;
  readonly needs?: PartialNeeds;
  readonly options?: FitOptions;
  readonly never: boolean;
}

const CASES: readonly Case[] = [
  { code: "not_online", agent: { status: "suspect" }, never: false },
  { code: "not_attached", agent: { attached: false }, never: false },
  { code: "cordoned", agent: { cordoned: true }, never: false },
  { code: "draining", agent: { draining: true }, never: false },
  { code: "owner_hold", agent: { ownerHold: true }, never: false },
  { code: "on_probation", agent: { onProbation: true }, never: false },
  { code: "avoided", options: { avoidAgentIds: new Set(["a"]) }, never: false },
  { code: "wrong_pool", needs: { pool: "render" }, never: true },
  { code: "wrong_type", agent: { agentType: "infra" }, never: true },
  { code: "wrong_agent", needs: { agentId: "b" }, never: true },
  { code: "labels_mismatch", agent: { labels: { os: "linux" } }, needs: { labels: { os: "mac" } }, never: true },
  { code: "gpu_model_mismatch", needs: { gpuCount: 1, gpuModels: ["5090"] }, never: true },
  { code: "not_enough_cpu", needs: { cpuMillicores: 8001 }, never: true },
  { code: "not_enough_cpu", agent: { reservations: [held("x", { cpuMillicores: 7500 })] }, never: false },
  { code: "not_enough_memory", needs: { memoryMib: 33 * GIB }, never: true },
  {
    code: "not_enough_memory",
    agent: { reservations: [held("x", { memoryMib: 32 * GIB })] },
    needs: { memoryMib: 1 },
    never: false,
  },
  { code: "not_enough_gpus", needs: { gpuCount: 3, gpuVramMib: 1 }, never: true },
  { code: "not_enough_vram", needs: { gpuVramMib: 13 * GIB }, never: true },
  {
    code: "not_enough_vram",
    agent: {
      reservations: [
        held("x", {
          cards: [
            { cardId: "card-0", vramMib: 6 * GIB, exclusive: false },
            { cardId: "card-1", vramMib: 6 * GIB, exclusive: false },
          ],
        }),
      ],
    },
    needs: { gpuVramMib: 8 * GIB },
    never: false,
  },
  {
    code: "card_not_exclusive",
    agent: {
      reservations: [held("x", { cards: [{ cardId: "card-0", vramMib: 1, exclusive: false }] })],
    },
    needs: { gpuCount: 2 },
    never: false,
  },
];

const ask = ({ agent, needs, options }: Omit<Case, "code" | "never">) =>
  fit(desktop("a", { sample: gpuMachine, ...agent }), normalizeNeeds(needs ?? {}), options);

describe("fit", () => {
  it.each(CASES)("DESIGN-3: $code, never: $never (case $#)", ({ code, never, ...question }) => {
    const found = ask(question);
    expect(found).toMatchObject({ kind: "no", never });
    expect(found.kind === "no" ? found.misses.map((miss) => miss.code) : []).toEqual([code]);
  });

  it("has a case for every miss", () => {
    expect(new Set(CASES.map((one) => one.code))).toEqual(new Set(MISS_CODES));
  });

  it("fits, and says what to reserve on which card", () => {
    expect(ask({ needs: { gpuVramMib: 4 * GIB, memoryMib: 7 } })).toMatchObject({
      kind: "fits",
      cardIds: ["card-0"],
      amounts: {
        cpuMillicores: 1000,
        memoryMib: 7,
        cards: [{ cardId: "card-0", vramMib: 4 * GIB, exclusive: false }],
      },
    });
  });

  it("DESIGN-2: a model matches by a part of its name, letter case aside", () => {
    expect(ask({ needs: { gpuCount: 1, gpuModels: ["rtx 3080"] } })).toMatchObject({
      kind: "fits",
      cardIds: ["card-1"],
    });
  });

  it("R-CAP-3: nothing fits on an agent without metrics, and nothing is ruled out", () => {
    const found = ask({ agent: { sample: null }, needs: { cpuMillicores: 0 } });
    expect(found).toMatchObject({ kind: "no", never: false, misses: [{ detail: "no metrics yet" }] });
  });

  it("says how much is missing on which card, of what it has", () => {
    const cards = [card(0, { vramAvailableMib: 1 * GIB }), card(1, { vramAvailableMib: 3 * GIB })];
    const found = ask({ agent: { sample: sample({ cards }) }, needs: { gpuVramMib: 4 * GIB } });
    expect(found).toMatchObject({
      kind: "no",
      misses: [{ cardId: "card-1", cardIndex: 1, needed: 4 * GIB, free: 3 * GIB, total: 8 * GIB, shortBy: GIB }],
    });
  });

  it("names every card that has to come free", () => {
    const cards = [0, 1, 2].map((index) => card(index, { vramAvailableMib: index * GIB }));
    const found = ask({ agent: { sample: sample({ cards }) }, needs: { gpuCount: 2, gpuVramMib: 4 * GIB } });
    expect(found.kind === "no" ? found.misses.map((miss) => miss.cardIndex) : []).toEqual([2, 1]);
  });

  it("a card is given whole only when its owner offers it whole", () => {
    const cards = [card(0, { vramOfferMib: 4 * GIB })];
    expect(ask({ agent: { sample: sample({ cards }) }, needs: { gpuCount: 1 } })).toMatchObject({
      kind: "no",
      never: true,
      misses: [{ code: "card_not_exclusive" }],
    });
  });

  it("a card with some foreign use may be given whole, for as much VRAM as is left", () => {
    const cards = [card(0, { vramAvailableMib: 6 * GIB })];
    const agent = { sample: sample({ cards }) };
    expect(ask({ agent, needs: { gpuCount: 1 } }).kind).toBe("fits");
    expect(ask({ agent, needs: { gpuVramMib: 7 * GIB, gpuExclusive: true } }).kind).toBe("no");
  });

  it("a card with nothing free is no card, even for a task that names no amount", () => {
    const agent = { sample: sample({ cards: [card(0, { vramAvailableMib: 0 })] }) };
    expect(ask({ agent, needs: { gpuCount: 1, gpuExclusive: false } }).kind).toBe("no");
  });

  it("counts the VRAM of shared memory against memory as well", () => {
    const cards = [card(0, { sharedMemory: true, vramTotalMib: 24 * GIB })];
    const agent = { sample: sample({ memory: dimension(32 * GIB), cards }) };
    expect(ask({ agent, needs: { gpuVramMib: 20 * GIB, memoryMib: 12 * GIB } }).kind).toBe("fits");
    expect(ask({ agent, needs: { gpuVramMib: 20 * GIB, memoryMib: 13 * GIB } })).toMatchObject({
      kind: "no",
      never: true,
      misses: [{ code: "not_enough_memory", shortBy: GIB }],
    });
  });

  it("says that memory is short when a card that shares it and the task together ask too much", () => {
    const cards = [card(0, { sharedMemory: true, vramTotalMib: 24 * GIB })];
    const agent = {
      sample: sample({ memory: dimension(32 * GIB), cards }),
      reservations: [held("x", { memoryMib: 8 * GIB })],
    };
    expect(ask({ agent, needs: { gpuVramMib: 20 * GIB, memoryMib: 4 * GIB } }).kind).toBe("fits");
    expect(ask({ agent, needs: { gpuVramMib: 20 * GIB, memoryMib: 5 * GIB } })).toMatchObject({
      kind: "no",
      never: false,
      misses: [{ code: "not_enough_memory", shortBy: GIB }],
    });
  });

  it("other types and unattached agents only when asked for", () => {
    const agent: Partial<AgentFacts> = { agentType: "code", attached: false };
    expect(ask({ agent, options: { agentTypes: null, requireAttached: false } }).kind).toBe("fits");
    expect(ask({ agent, options: { agentTypes: ["code"] } }).kind).toBe("no");
  });
});
