import { describe, expect, it } from "vitest";
import { explain, explainAgent, nearestMiss } from "./explain.ts";
import { card, desktop, dimension, GIB, held, sample } from "./fixtures.test-helper.ts";
import { normalizeNeeds } from "./needs.ts";
import { availableGbText, neededCoresText, neededGbText, unblockSentence } from "./sentences.ts";

const core = normalizeNeeds({});
const huge = normalizeNeeds({ cpuMillicores: 64_000 });
const full = { reservations: [held("x", { cpuMillicores: 8000 }, 5000)] };

describe("explain", () => {
  it("DESIGN-3: names the nearest miss in GiB, on the card that comes closest", () => {
    const cards = [card(0, { vramAvailableMib: 0 }), card(1, { vramAvailableMib: 8 * GIB - 3277 })];
    const found = explain([desktop("a", { sample: sample({ cards }) })], normalizeNeeds({ gpuVramMib: 8 * GIB }));
    expect(found).toMatchObject({ verdict: "not_now", reason: "NO_AGENT_FITS_NOW", nearest: { agentId: "a" } });
    expect(found.agents[0]?.sentence).toBe("3.3 GiB VRAM short on GPU 1");
    expect(found.sentence).toBe("No room now on the only agent; the nearest: 3.3 GiB VRAM short on GPU 1.");
  });

  it("never says 0.0 of a shortage", () => {
    expect(neededGbText(1)).toBe("0.1 GiB");
    expect(neededGbText(1024)).toBe("1.0 GiB");
    expect(neededGbText(3 * 1024 + 200)).toBe("3.2 GiB");
    expect(availableGbText(1023)).toBe("0.9 GiB");
    expect(neededCoresText(1)).toBe("0.1 cores");
    expect(neededCoresText(1000)).toBe("1.0 core");
    expect(neededCoresText(1500)).toBe("1.5 cores");
  });

  it("says that it fits", () => {
    expect(explain([desktop("a", full), desktop("b")], core)).toMatchObject({
      verdict: "fits",
      reason: null,
      nearest: null,
      agents: [{ agentId: "b", verdict: "fits", misses: [] }, { agentId: "a" }],
    });
  });

  it("DESIGN-3: tells never from not now", () => {
    expect(explain([desktop("a", full), desktop("b", full)], huge)).toMatchObject({
      verdict: "never",
      reason: "NO_AGENT_CAN_EVER_FIT",
    });
    expect(explain([desktop("a", full)], core)).toMatchObject({ verdict: "not_now", reason: "NO_AGENT_FITS_NOW" });
  });

  it("an offline agent that is large enough keeps it from being never", () => {
    const large = desktop("b", { status: "offline", sample: sample({ cpu: dimension(64_000) }) });
    expect(explain([desktop("a"), large], huge)).toMatchObject({ verdict: "not_now", reason: "NO_AGENT_FITS_NOW" });
  });

  it("R-PAUSE-2: no agent online is a reason of its own", () => {
    expect(explain([], core)).toMatchObject({ verdict: "no_agent_online", reason: "NO_AGENT_ONLINE", nearest: null });
    expect(explain([desktop("a", { status: "suspect" })], core).reason).toBe("NO_AGENT_ONLINE");
    const away = [desktop("a", { status: "offline" }), desktop("b", { status: "offline", ...full })];
    expect(explain(away, core).sentence).toBe("None of the 2 agents is online.");
  });

  it("DESIGN-3: what no known agent could ever take is told while none of them is online, too", () => {
    const small = desktop("a", { status: "offline" });
    expect(explain([small, desktop("b", { status: "suspect" })], huge)).toMatchObject({
      verdict: "never",
      reason: "NO_AGENT_CAN_EVER_FIT",
      sentence: "It can never fit on any of the 2 agents; the nearest: 56.0 cores short (it has 8.0 cores at most).",
    });
    const large = desktop("b", { status: "offline", sample: sample({ cpu: dimension(64_000) }) });
    expect(explain([small, large], huge).reason).toBe("NO_AGENT_ONLINE");
    // Nothing is known of the room of one that has sent no metrics yet.
    expect(explain([small, desktop("b", { status: "offline", sample: null })], huge).reason).toBe("NO_AGENT_ONLINE");
  });

  it("R-PAUSE-2: an agent of a type that takes no work is none that is online, nor one that rules anything out", () => {
    const infra = desktop("i", { agentType: "infra" });
    const away = desktop("a", { status: "offline" });
    expect(explain([infra], core)).toMatchObject({
      verdict: "no_agent_online",
      reason: "NO_AGENT_ONLINE",
      sentence: "No agent is known of a type that takes work.",
    });
    expect(explain([infra, away], core)).toMatchObject({
      verdict: "no_agent_online",
      sentence: "The only agent that takes work is not online.",
    });
    expect(explain([infra, away, desktop("b", { status: "offline" })], core).sentence).toBe(
      "None of the 2 agents that take work is online.",
    );
    expect(explain([infra, away], huge).verdict).toBe("never");
    expect(explain([infra], core, { agentTypes: ["infra"] }).verdict).toBe("fits");
  });

  it("DESIGN-4: an agent that lacks only its work stream", () => {
    expect(explain([desktop("a", { attached: false }), desktop("b", full)], core).reason).toBe("AGENT_NOT_ATTACHED");
  });

  it("agents that lack only the leave of an operator or of their owner", () => {
    expect(explain([desktop("a", { ownerHold: true }), desktop("b", full)], core).reason).toBe("ALL_CORDONED");
    expect(explain([desktop("a", { cordoned: true }), desktop("b", full)], core).reason).toBe("ALL_CORDONED");
    expect(explain([desktop("a", { cordoned: true, ...full })], core).reason).toBe("NO_AGENT_FITS_NOW");
  });

  it("lists the nearest agents first, and no more than asked for", () => {
    const views = [
      desktop("never", { sample: sample({ cpu: dimension(500) }) }),
      desktop("off", { status: "offline" }),
      desktop("aside", { cordoned: true }),
      desktop("far", full),
      desktop("near", { reservations: [held("y", { cpuMillicores: 7500 })] }),
    ];
    const found = explain(views, core, {}, 4);
    expect(found.agents.map((one) => one.agentId)).toEqual(["near", "far", "aside", "off"]);
    expect(found.agentsJudged).toBe(5);
  });

  it("says what would unblock it", () => {
    expect(explainAgent(desktop("a", full), core).unblock).toEqual({
      kind: "attempts_end",
      attemptIds: ["x"],
      expectedAtMs: 5000,
    });
    expect(explainAgent(desktop("a", { cordoned: true, ...full }), core).unblock).toEqual({
      kind: "obstacles",
      obstacles: ["cordoned"],
    });
    expect(explainAgent(desktop("a", { sample: null }), core).unblock).toEqual({
      kind: "obstacles",
      obstacles: ["no_metrics"],
    });
    expect(explainAgent(desktop("a"), huge).unblock).toEqual({ kind: "never" });
    expect(explainAgent(desktop("a"), core).unblock).toEqual({ kind: "nothing" });
    const busy = desktop("a", { sample: sample({ cpu: dimension(8000, { available: 0 }) }) });
    expect(explainAgent(busy, core).unblock).toEqual({ kind: "owner_programs_end" });
  });

  it("asks only those attempts to end that have to", () => {
    const view = desktop("a", {
      reservations: [
        held("soon", { memoryMib: 1 }, 10),
        held("later", { cpuMillicores: 5000 }, 20),
        held("unknown", { cpuMillicores: 3000 }),
      ],
    });
    expect(explainAgent(view, normalizeNeeds({ cpuMillicores: 4000 })).unblock).toEqual({
      kind: "attempts_end",
      attemptIds: ["later"],
      expectedAtMs: 20,
    });
    expect(explainAgent(view, normalizeNeeds({ cpuMillicores: 8000 })).unblock).toEqual({
      kind: "attempts_end",
      attemptIds: ["later", "unknown"],
      expectedAtMs: null,
    });
  });

  it("writes the way out for a person", () => {
    expect(unblockSentence({ kind: "attempts_end", attemptIds: ["x", "y"], expectedAtMs: null }, "a")).toBe(
      "wait for 2 running tasks to end",
    );
    expect(unblockSentence({ kind: "obstacles", obstacles: ["cordoned"] }, "a")).toBe("headroom agents uncordon a");
  });

  it("has no nearest miss where nothing is missing", () => {
    expect(() => nearestMiss([])).toThrow(RangeError);
  });
});
