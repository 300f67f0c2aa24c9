import { describe, expect, it } from "vitest";
import { agentWith, reservationsOf, reservationWith, sampleWith } from "../test-agents.test-helper.ts";
import { roomAppeared } from "./room-appeared.ts";

describe("roomAppeared", () => {
  const busy = agentWith({ reservations: reservationsOf(reservationWith()) });

  it.each([
    ["a new agent", null, agentWith()],
    ["an agent that comes online", agentWith({ status: "suspect" }), agentWith()],
    ["an agent that is attached", agentWith({ attached: false }), agentWith()],
    ["an agent that is uncordoned", agentWith({ cordoned: true }), agentWith()],
    ["an owner who lets go", agentWith({ ownerHold: true }), agentWith()],
    ["a reservation that ends", busy, agentWith()],
    ["more cores", agentWith({ sample: sampleWith(3) }), agentWith({ sample: sampleWith(4) })],
    ["more VRAM", agentWith({ sample: sampleWith(3, 1) }), agentWith({ sample: sampleWith(3, 2) })],
    ["a first sample", agentWith({ sample: null }), agentWith()],
    ["a new label", agentWith(), agentWith({ labels: { site: "north" } })],
    ["room given and come back since the last look", agentWith({ guardVersion: 3 }), agentWith({ guardVersion: 5 })],
    ["another pool", agentWith(), agentWith({ poolName: "render" })],
  ])("is true for %s", (_, before, after) => {
    expect(roomAppeared(before, after)).toBe(true);
  });

  it.each([
    ["an agent that leaves", agentWith(), null],
    ["an agent that goes offline", agentWith(), agentWith({ status: "offline" })],
    ["a new agent that is not attached", null, agentWith({ attached: false })],
    ["a reservation that begins", agentWith(), busy],
    ["one commit that took room", agentWith({ guardVersion: 3 }), { ...busy, guardVersion: 4 }],
    ["fewer cores", agentWith({ sample: sampleWith(4) }), agentWith({ sample: sampleWith(3) })],
    ["nothing but another text", agentWith(), agentWith({ statusReason: "it beats again" })],
    ["a label that goes", agentWith({ labels: { site: "north" } }), agentWith()],
  ])("is false for %s", (_, before, after) => {
    expect(roomAppeared(before, after)).toBe(false);
  });

  it("is true when the last attempt leaves a card, though its free VRAM was zero use", () => {
    const noVram = { cpuMillicores: 0, memoryMib: 0, cards: [{ cardId: "gpu-0", vramMib: 0, exclusive: false }] };
    const before = agentWith({ reservations: reservationsOf(reservationWith({ reserved: noVram })) });
    expect(roomAppeared(before, agentWith())).toBe(true);
  });
});
