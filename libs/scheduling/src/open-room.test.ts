import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyNeeds } from "./arbitraries.test-helper.ts";
import { normalizeNeeds } from "./needs.ts";
import { OpenRoom } from "./open-room.ts";
import { roomBound, type RoomFigures, roomWithout } from "./room-bound.ts";

const anyAgent: fc.Arbitrary<Omit<RoomFigures, "agentId">> = fc.record({
  poolName: fc.constantFrom("default", "other"),
  labels: fc.constantFrom({}, { site: "lab" }),
  takesWork: fc.boolean(),
  cpuFreeMillicores: fc.nat(8_000),
  memoryFreeMib: fc.nat(16_384),
  cards: fc.array(
    fc.record({
      cardId: fc.constant("gpu"),
      model: fc.constantFrom("RTX 4090", "A100"),
      vramFreeMib: fc.nat(24_000),
      exclusive: fc.boolean(),
    }),
    { maxLength: 3 },
  ),
});
const anyAgents: fc.Arbitrary<readonly RoomFigures[]> = fc.array(anyAgent, { maxLength: 5 }).map((agents) =>
  agents.map((agent, index) => ({
    ...agent,
    agentId: `agent-${index}`,
    cards: agent.cards.map((card, at) => ({ ...card, cardId: `gpu-${at}` })),
  })),
);
const anybody = (): boolean => true;

function takesOf(take: () => boolean, most: number): number {
  let taken = 0;
  while (taken < most && take()) taken += 1;
  return taken;
}

describe("open room", () => {
  it("property: one kind of task gets all that there may be room for, as far as cards are not asked for in twos", () => {
    fc.assert(
      fc.property(anyAgents, anyNeeds, (agents, needs) => {
        const open = new OpenRoom(agents);
        const room = agents.reduce((sum, agent) => sum + roomBound(agent, needs, 20), 0);
        expect(open.roomFor(needs, 20, anybody)).toBe(Math.min(20, room));
        const taken = takesOf(open.draft().taker(needs, anybody), 20);
        if (needs.gpuCount < 2) expect(taken).toBe(Math.min(20, room));
        else expect(taken).toBeGreaterThanOrEqual(Math.min(room, 1));
      }),
    );
  });

  it("property: several kinds never get more than there is, each only where it may be", () => {
    const two = fc.tuple(anyNeeds, anyNeeds);
    fc.assert(
      fc.property(anyAgents, two, fc.array(fc.nat(1), { maxLength: 30 }), (agents, kinds, order) => {
        const draft = new OpenRoom(agents).draft();
        const mayHave = (agentId: string): boolean => agentId !== "agent-0";
        const takers = kinds.map((needs) => draft.taker(needs, mayHave));
        const taken = [0, 0];
        for (const kind of order) if (takers[kind]!()) taken[kind]! += 1;
        const able = agents.filter(({ agentId, takesWork }) => takesWork && mayHave(agentId));
        const sum = (of: (agent: RoomFigures) => number): number => able.reduce((total, each) => total + of(each), 0);
        const asked = (of: (kind: 0 | 1) => number): number => taken[0]! * of(0) + taken[1]! * of(1);
        expect(asked((kind) => kinds[kind].cpuMillicores)).toBeLessThanOrEqual(sum((each) => each.cpuFreeMillicores));
        expect(asked((kind) => kinds[kind].memoryMib)).toBeLessThanOrEqual(sum((each) => each.memoryFreeMib));
      }),
    );
  });

  it("what was promised is taken off, card by card", () => {
    const agent: RoomFigures = {
      agentId: "a",
      poolName: "default",
      labels: {},
      takesWork: true,
      cpuFreeMillicores: 4_000,
      memoryFreeMib: 4_096,
      cards: [
        { cardId: "gpu-0", model: "RTX 4090", vramFreeMib: 20_000, exclusive: false },
        { cardId: "gpu-1", model: "RTX 4090", vramFreeMib: 24_000, exclusive: false },
      ],
    };
    const left = roomWithout(agent, {
      cpuMillicores: 1_500,
      memoryMib: 96,
      cards: [{ cardId: "gpu-1", vramMib: 24_000, exclusive: true }],
    });
    expect(left).toMatchObject({ cpuFreeMillicores: 2_500, memoryFreeMib: 4_000 });
    expect(left.cards).toEqual([agent.cards[0], { ...agent.cards[1], vramFreeMib: 0, exclusive: true }]);
    expect(roomBound(left, normalizeNeeds({ gpuVramMib: 10_000 }), 9)).toBe(2);
    expect(roomBound(left, normalizeNeeds({ gpuCount: 2, gpuVramMib: 0, gpuExclusive: true }), 9)).toBe(0);
  });
});
