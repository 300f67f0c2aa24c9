import { describe, expect, it } from "vitest";
import type { AgentView } from "./agent-view.ts";
import { card, desktop, dimension, GIB, sample, untaughtPolicy } from "./fixtures.test-helper.ts";
import { normalizeNeeds, type PartialNeeds } from "./needs.ts";
import { placeBatch, type PlaceRequest, type PlacementPolicy } from "./placement.ts";

const MOST_FREE_VRAM = untaughtPolicy("most-free-vram");

const request = (attemptId: string, needs: PartialNeeds, fields: Partial<PlaceRequest> = {}): PlaceRequest => ({
  attemptId,
  needs: normalizeNeeds(needs),
  ...fields,
});

function place(
  views: readonly AgentView[],
  requests: readonly PlaceRequest[],
  policy: PlacementPolicy = untaughtPolicy("best-fit", views),
) {
  return placeBatch(views, requests, policy, { random: 0 }).map((placement) =>
    placement.kind === "reserved" ? placement.agentId : placement.reason,
  );
}

const gpuDesktop = (agentId: string, ...freeGib: readonly number[]): AgentView =>
  desktop(agentId, {
    sample: sample({ cards: freeGib.map((gib, index) => card(index, { vramAvailableMib: gib * GIB })) }),
  });

describe("placement", () => {
  it("R-CAP-8: most-free-vram routes to the agent, and there to the card, with the most free VRAM", () => {
    const views = [gpuDesktop("a", 4), gpuDesktop("b", 3, 5), gpuDesktop("c", 2)];
    const [placement] = placeBatch(views, [request("t", { gpuVramMib: GIB })], MOST_FREE_VRAM, { random: 0 });
    expect(placement).toMatchObject({ kind: "reserved", agentId: "b", amounts: { cards: [{ cardId: "card-1" }] } });
  });

  it("best-fit fills the tightest agent and leaves large room whole", () => {
    const views = [desktop("large", { sample: sample({ cpu: dimension(64_000) }) }), desktop("small")];
    expect(place(views, [request("t", { cpuMillicores: 2000 })])).toEqual(["small"]);
  });

  it("best-fit keeps work that needs no GPU off the agents that have one", () => {
    expect(place([gpuDesktop("gpu", 8), desktop("plain")], [request("t", {})])).toEqual(["plain"]);
  });

  it("breaks ties by agent id", () => {
    expect(place([desktop("b"), desktop("a")], [request("t", {})])).toEqual(["a"]);
    expect(place([desktop("b"), desktop("a")], [request("t", {})], MOST_FREE_VRAM)).toEqual(["a"]);
  });

  it("DESIGN-3: a batch never promises the same room twice", () => {
    const six = ["1", "2", "3"].map((id) => request(id, { cpuMillicores: 3000 }));
    expect(place([desktop("a")], six)).toEqual(["a", "a", "NO_AGENT_FITS_NOW"]);
  });

  it("serves requests in their order, and a smaller one after a refusal", () => {
    const requests = [
      request("1", { cpuMillicores: 6000 }),
      request("2", { cpuMillicores: 6000 }),
      request("3", { cpuMillicores: 2000 }),
    ];
    expect(place([desktop("a")], requests)).toEqual(["a", "NO_AGENT_FITS_NOW", "a"]);
  });

  it("R-PAUSE-2: says why there is no room", () => {
    expect(place([], [request("t", {})])).toEqual(["NO_AGENT_ONLINE"]);
    expect(place([desktop("a")], [request("t", { cpuMillicores: 9000 })])).toEqual(["NO_AGENT_CAN_EVER_FIT"]);
  });

  it("avoids agents for one request and not for the next", () => {
    const avoidAgentIds = new Set(["a"]);
    const requests = [request("1", {}, { options: { avoidAgentIds } }), request("2", {})];
    expect(place([desktop("a")], requests)).toEqual(["NO_AGENT_FITS_NOW", "a"]);
  });

  it("DESIGN-3: a group is placed whole or not at all, and gives its room back", () => {
    const requests = [
      request("1", { cpuMillicores: 5000 }, { group: "g" }),
      request("alone", { cpuMillicores: 5000 }),
      request("2", { cpuMillicores: 5000 }, { group: "g" }),
    ];
    expect(place([desktop("a")], requests)).toEqual(["NO_AGENT_FITS_NOW", "a", "NO_AGENT_FITS_NOW"]);
    expect(place([desktop("a"), desktop("b")], requests)).toEqual(["a", "NO_AGENT_FITS_NOW", "b"]);
  });

  it("a group's refusal does not refuse the same shape alone", () => {
    const requests = [
      request("1", { cpuMillicores: 5000 }, { group: "g" }),
      request("2", { cpuMillicores: 5000 }, { group: "g" }),
      request("3", { cpuMillicores: 5000 }),
    ];
    expect(place([desktop("a")], requests)).toEqual(["NO_AGENT_FITS_NOW", "NO_AGENT_FITS_NOW", "a"]);
  });

  it("survives a policy that answers nonsense", () => {
    const broken: PlacementPolicy = { name: "broken", choose: () => ({ agentId: "?", cardIds: ["?", "?"] }) };
    const [placement] = placeBatch([gpuDesktop("a", 8)], [request("t", { gpuVramMib: GIB })], broken, { random: 0 });
    expect(placement).toMatchObject({ kind: "reserved", agentId: "a", amounts: { cards: [{ cardId: "card-0" }] } });
  });

  it("replaces a choice of cards that takes too much of the memory they share", () => {
    const cards = [card(0, { sharedMemory: true, vramTotalMib: 30 * GIB }), card(1)];
    const view = desktop("a", { sample: sample({ cards }) });
    const needs = { gpuVramMib: 8 * GIB, memoryMib: 30 * GIB };
    const [placement] = placeBatch([view], [request("t", needs)], MOST_FREE_VRAM, { random: 0 });
    expect(placement).toMatchObject({ kind: "reserved", amounts: { cards: [{ cardId: "card-1" }] } });
  });
});
