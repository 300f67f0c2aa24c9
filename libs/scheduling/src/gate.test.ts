import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { card, desktop, dimension, held, sample } from "./fixtures.test-helper.ts";
import { DEFAULT_PAUSE_THRESHOLD, gateAgent, shouldPause, type GateAgent } from "./gate.ts";

const CPU_TASK = { gpuCount: 0 };
const GPU_TASK = { gpuCount: 1 };

/** An online agent with so many percent free; null: no GPU. */
function agent(cpuFreePercent: number, gpuFreePercent: number | null = null, online = true): GateAgent {
  const figure = (free: number) => ({ free, ceiling: 100 });
  const vram = gpuFreePercent === null ? null : figure(gpuFreePercent);
  return { agentId: `${cpuFreePercent}/${gpuFreePercent}`, online, cpu: figure(cpuFreePercent), vram };
}

function verdict(agents: readonly GateAgent[], task: { gpuCount: number } | null = null, threshold = 0.2) {
  return shouldPause({ agents, threshold, task });
}

describe("the gate", () => {
  it("R-PAUSE-1: the default threshold is 0.2", () => {
    expect(DEFAULT_PAUSE_THRESHOLD).toBe(0.2);
  });

  it("R-PAUSE-2: GPUs at 15, 18 and 10 % free pause", () => {
    const found = verdict([agent(90, 15), agent(90, 18), agent(90, 10)], GPU_TASK);
    expect(found).toMatchObject({ pause: true, reason: "FLEET_BELOW_THRESHOLD", agentsOnline: 3, agentsBelow: 3 });
    expect(found.averageGpuFreePercent).toBeCloseTo(43 / 3);
  });

  it("R-PAUSE-2: GPUs at 25, 30 and 40 % free do not pause", () => {
    expect(verdict([agent(90, 25), agent(90, 30), agent(90, 40)], GPU_TASK)).toMatchObject({
      pause: false,
      reason: null,
      agentsBelow: 0,
    });
  });

  it("R-PAUSE-2: CPU work is not held by busy GPUs", () => {
    const fleet = [agent(90, 1), agent(80, 2)];
    expect(verdict(fleet, CPU_TASK).pause).toBe(false);
    expect(verdict(fleet, GPU_TASK).pause).toBe(true);
  });

  it("R-PAUSE-2: an agent without a GPU has none to give to GPU work", () => {
    expect(verdict([agent(100), agent(100)], GPU_TASK).pause).toBe(true);
    expect(verdict([agent(100), agent(100, 50)], GPU_TASK).pause).toBe(false);
  });

  it("R-PAUSE-2: GPU work is held by busy CPUs too", () => {
    expect(verdict([agent(10, 90)], GPU_TASK).pause).toBe(true);
  });

  it("R-PAUSE-2: asked without a task, an agent is below if it is on anything it has", () => {
    expect(verdict([agent(90, 10)])).toMatchObject({ pause: true, perAgent: [{ belowOn: ["gpu"] }] });
    expect(verdict([agent(10, 90)])).toMatchObject({ pause: true, perAgent: [{ belowOn: ["cpu"] }] });
    expect(verdict([agent(90)]).pause).toBe(false);
    expect(verdict([agent(90, 90)]).pause).toBe(false);
  });

  it("R-PAUSE-2: offline agents do not count", () => {
    expect(verdict([agent(10), agent(100, null, false)]).pause).toBe(true);
    expect(verdict([agent(90), agent(0, null, false)])).toMatchObject({ pause: false, agentsOnline: 1 });
  });

  it("R-PAUSE-2: missing metrics count as zero", () => {
    const silent: GateAgent = { agentId: "silent", online: true, cpu: null, vram: null };
    expect(verdict([silent])).toMatchObject({ pause: true, averageCpuFreePercent: 0, averageGpuFreePercent: null });
    expect(verdict([silent, agent(50)])).toMatchObject({ pause: false, averageCpuFreePercent: 25 });
    expect(verdict([silent], null, 0).pause).toBe(true);
  });

  it("R-PAUSE-2: a total of zero is nothing to give", () => {
    const empty: GateAgent = { agentId: "x", online: true, cpu: { free: 0, ceiling: 0 }, vram: null };
    expect(verdict([empty], CPU_TASK, 0).pause).toBe(true);
  });

  it("R-PAUSE-2: no online agent at all means pause", () => {
    expect(verdict([])).toMatchObject({ pause: true, reason: "NO_AGENT_ONLINE", agentsOnline: 0 });
    expect(verdict([agent(100, 100, false)]).reason).toBe("NO_AGENT_ONLINE");
  });

  it("R-PAUSE-1: exactly the threshold is not below it", () => {
    expect(verdict([agent(20)]).pause).toBe(false);
    expect(verdict([agent(19.999)]).pause).toBe(true);
  });

  it("R-PAUSE-1: a threshold of 0 holds nothing that has something, 1 holds all that is not idle", () => {
    expect(verdict([agent(0)], CPU_TASK, 0).pause).toBe(false);
    expect(verdict([agent(99)], CPU_TASK, 1).pause).toBe(true);
    expect(verdict([agent(100)], CPU_TASK, 1).pause).toBe(false);
  });

  describe.each([1, 3, 10])("R-PAUSE-1: %i agents", (count) => {
    const fleet = (free: number) => Array.from({ length: count }, () => agent(free, free));

    it.each([
      [10, false],
      [20, false],
      [50, false],
      [80, false],
      [81, true],
      [90, true],
    ])("R-PAUSE-1: %i %% used, pause: %s", (usedPercent, pause) => {
      for (const task of [null, CPU_TASK, GPU_TASK]) expect(verdict(fleet(100 - usedPercent), task).pause).toBe(pause);
    });

    it("R-PAUSE-1: one agent above the threshold opens the gate for the fleet", () => {
      const full = fleet(5).slice(1);
      expect(verdict([...full, agent(50, 50)])).toMatchObject({ pause: false, agentsBelow: count - 1 });
    });

    it("R-PAUSE-2: the same fleet with offline agents mixed in", () => {
      const offline = Array.from({ length: count }, () => agent(100, 100, false));
      expect(verdict([...fleet(10), ...offline])).toMatchObject({ pause: true, agentsOnline: count });
      expect(verdict([...fleet(60), ...offline]).pause).toBe(false);
    });
  });

  it("R-PAUSE-3: the averages are over online agents, GPUs over those that have one", () => {
    const found = verdict([agent(10, 40), agent(30), agent(100, 100, false)]);
    expect(found.averageCpuFreePercent).toBeCloseTo(20);
    expect(found.averageGpuFreePercent).toBeCloseTo(40);
    expect(verdict([agent(10)]).averageGpuFreePercent).toBeNull();
  });

  it("DESIGN-3: judges free against min(total, offer), reservations and all cards counted", () => {
    const cards = [card(0, { vramTotalMib: 1000 }), card(1, { vramTotalMib: 1000, vramOfferMib: 500 })];
    const view = desktop("a", {
      cordoned: true,
      sample: sample({ cpu: dimension(8000, { offer: 4000 }), cards }),
      reservations: [held("x", { cpuMillicores: 3000, cards: [{ cardId: "card-0", vramMib: 900, exclusive: false }] })],
    });
    expect(gateAgent(view)).toEqual({
      agentId: "a",
      online: true,
      cpu: { free: 1000, ceiling: 4000 },
      vram: { free: 600, ceiling: 1500 },
    });
    expect(gateAgent(desktop("b", { sample: null, status: "suspect" }))).toEqual({
      agentId: "b",
      online: false,
      cpu: null,
      vram: null,
    });
  });

  it("R-PAUSE-1: more free room never turns an open gate into a pause", () => {
    const percent = fc.integer({ min: 0, max: 100 });
    const anyAgent = fc.record({
      cpu: percent,
      gpu: fc.option(percent, { nil: null }),
      online: fc.boolean(),
      moreCpu: percent,
      moreGpu: percent,
    });
    const question = fc.record({
      agents: fc.array(anyAgent, { maxLength: 8 }),
      threshold: fc.double({ min: 0, max: 1, noNaN: true }),
      task: fc.constantFrom(null, CPU_TASK, GPU_TASK),
    });
    fc.assert(
      fc.property(question, ({ agents, threshold, task }) => {
        const before = agents.map(({ cpu, gpu, online }) => agent(cpu, gpu, online));
        const after = agents.map(({ cpu, gpu, online, moreCpu, moreGpu }) =>
          agent(Math.max(cpu, moreCpu), gpu === null ? null : Math.max(gpu, moreGpu), online),
        );
        if (!verdict(before, task, threshold).pause) expect(verdict(after, task, threshold).pause).toBe(false);
      }),
    );
  });
});
