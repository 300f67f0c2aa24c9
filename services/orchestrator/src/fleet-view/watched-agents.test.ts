/** What is kept up with each change is what looking at every agent would find. */
import { type AgentCapacityFigures, agentCapacityFromWire, gateAgentFromFigures, wire } from "@headroom/contracts";
import { type Needs, normalizeNeeds, roomBound, shouldPause } from "@headroom/scheduling";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { WatchedAgents } from "./watched-agents.ts";

const threshold = 0.2;
const { AgentStatus, AgentType } = wire;

const figures: fc.Arbitrary<AgentCapacityFigures> = fc
  .record({
    agentId: fc.constantFrom("a", "b", "c", "d", "e"),
    agentType: fc.constantFrom(AgentType.AGENT_TYPE_DESKTOP, AgentType.AGENT_TYPE_DESKTOP, AgentType.AGENT_TYPE_INFRA),
    status: fc.constantFrom(
      AgentStatus.AGENT_STATUS_ONLINE,
      AgentStatus.AGENT_STATUS_ONLINE,
      AgentStatus.AGENT_STATUS_SUSPECT,
    ),
    attached: fc.boolean(),
    cordoned: fc.boolean(),
    draining: fc.boolean(),
    ownerHold: fc.boolean(),
    onProbation: fc.boolean(),
    free: fc.integer({ min: 0, max: 4 }),
    cards: fc.array(fc.integer({ min: 0, max: 8 }), { maxLength: 2 }),
  })
  .map(({ free, cards, ...about }) => {
    const read = agentCapacityFromWire(
      wire.AgentCapacity.fromPartial({
        ...about,
        timestamp: { seconds: 1, nanos: 0 },
        cpuCoresPhysical: 4,
        cpuCoresAvailable: free,
        memoryTotalGb: 4,
        memoryAvailableGb: free,
        gpus: cards.map((vramAvailableGb, index) => ({
          cardId: `gpu-${index}`,
          index,
          vramTotalGb: 8,
          vramAvailableGb,
        })),
        gpuVramTotalGb: 8 * cards.length,
        gpuVramAvailableGb: cards.reduce((sum, each) => sum + each, 0),
      }),
    );
    if (read.kind === "invalid") throw new Error(read.description);
    return read.value;
  });
/** An agent is told of, or named as gone, or everything begins anew. */
const change = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("put" as const), figures }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("delete" as const), agentId: fc.constantFrom("a", "b", "c") }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("clear" as const) }) },
);
const needs: fc.Arbitrary<Needs> = fc
  .record({
    cpuMillicores: fc.constantFrom(0, 1_000, 3_000, 9_000),
    memoryMib: fc.constantFrom(0, 2_048, 9_000),
    gpuCount: fc.integer({ min: 0, max: 2 }),
    gpuVramMib: fc.constantFrom(0, 4_096, 9_000),
  })
  .map((asked) => normalizeNeeds({ ...asked, ...(asked.gpuCount === 0 && { gpuVramMib: 0 }) }));

function takesWork(agent: AgentCapacityFigures): boolean {
  const { agentType, status, attached, cordoned, draining, ownerHold, onProbation } = agent;
  const isKept = [cordoned, draining, ownerHold, onProbation].includes(true);
  return agentType === "desktop" && status === "online" && attached && !isKept;
}

const oneCore = { cpuMillicores: 1_000, memoryMib: 512, cards: [] };

describe("the agents that the watch has told of", () => {
  it("room that was promised is nobody else's until the agent is told of anew; the gate goes by what was told", () => {
    const [told] = fc.sample(figures.filter(takesWork), 1);
    const [cpu, memory] = [
      { ...told!.cpu, free: 4_000 },
      { ...told!.memory, free: 4_096 },
    ];
    const agent = { ...told!, agentType: "desktop" as const, cpu, memory, cards: [] };
    const watched = new WatchedAgents(threshold);
    const room = (): number => watched.openRoom().roomFor(normalizeNeeds({ cpuMillicores: 1_000 }), 9, () => true);
    watched.put(agent);
    const verdict = watched.verdict(null);
    const asOf = watched.puts;
    expect(room()).toBe(4);
    watched.promised(agent.agentId, oneCore, asOf);
    watched.promised(agent.agentId, oneCore, asOf);
    watched.promised("another", oneCore, asOf);
    expect(room()).toBe(2);
    expect(watched.verdict(null)).toEqual(verdict);
    watched.put(agent);
    expect(room()).toBe(4);
    // Asked for before the last word, which may hold it.
    watched.promised(agent.agentId, oneCore, asOf);
    expect(room()).toBe(4);
  });

  it("counts the agents that come, and that change in what they could ever take, but not what is free of it", () => {
    const agent = { ...fc.sample(figures, 1)[0]!, poolName: "default", labels: { os: "linux" } };
    const watched = new WatchedAgents(threshold);
    const isNews = (told: AgentCapacityFigures): boolean => {
      const before = watched.machines;
      watched.put(told);
      return watched.machines > before;
    };
    expect(isNews(agent)).toBe(true);
    expect(isNews({ ...agent, cpu: { ...agent.cpu, free: 1 }, cordoned: !agent.cordoned })).toBe(false);
    const card = { cardId: "new", index: 9, model: "", vramTotalMib: 1, vramFreeMib: 1, exclusive: false };
    for (const changed of [
      { poolName: "lab" },
      { labels: { os: "windows" } },
      { labels: { os: "linux", site: "x" } },
      { cpu: { ...agent.cpu, ceiling: 64_000 } },
      { memory: { ...agent.memory, ceiling: 64_000 } },
      { cards: [...agent.cards, card] },
      { sampledAtMs: null },
    ]) {
      expect([changed, isNews({ ...agent, ...changed })]).toEqual([changed, true]);
      watched.put(agent);
    }
    expect(isNews({ ...agent, agentId: "another" })).toBe(true);
  });

  it("DESIGN-5: room and the gate's verdict are those of the agents that are there, whatever came and went", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(change, needs), { maxLength: 30 }), (steps) => {
        const watched = new WatchedAgents(threshold);
        const there = new Map<string, AgentCapacityFigures>();
        for (const [step, asked] of steps) {
          if (step.kind === "put") {
            watched.put(step.figures);
            there.set(step.figures.agentId, step.figures);
          } else if (step.kind === "delete") {
            watched.delete(step.agentId);
            there.delete(step.agentId);
          } else {
            watched.clear();
            there.clear();
          }
          const all = [...there.values()];
          const isMeant = (agentId: string): boolean => agentId !== "e";
          const room = all
            .filter((agent) => isMeant(agent.agentId) && takesWork(agent))
            .map((agent) => ({
              ...agent,
              takesWork: true,
              cpuFreeMillicores: agent.cpu.free,
              memoryFreeMib: agent.memory.free,
            }))
            .reduce((sum, agent) => sum + roomBound(agent, asked, 100), 0);
          expect(watched.openRoom().roomFor(asked, 100, isMeant)).toBe(Math.min(100, room));
          const agents = all.filter(({ agentType }) => agentType === "desktop").map(gateAgentFromFigures);
          const { pause, agentsOnline, agentsBelow } = shouldPause({ agents, threshold, task: asked });
          expect(watched.verdict(asked)).toMatchObject({ pause, agentsOnline, agentsBelow });
          expect(watched.size).toBe(there.size);
        }
      }),
    );
  });
});
