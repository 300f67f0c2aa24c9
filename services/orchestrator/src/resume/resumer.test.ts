import { createMetrics, silentLogger } from "@headroom/runtime";
import { manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { createOrchestratorMetrics } from "../orchestrator-metrics.ts";
import { createResumer, type PassRequest } from "./resumer.ts";

/** An empty queue; counts how often its heads are read. */
function resumerOf(ports = manualPorts()) {
  const seen = { reads: 0, fails: false };
  const unused = (): never => {
    throw new Error("nothing waits");
  };
  const resumer = createResumer({
    store: {
      queueHeads() {
        seen.reads += 1;
        return seen.fails ? Promise.reject(new Error("the database is away")) : Promise.resolve([]);
      },
      claimOrphans: () => Promise.resolve([]),
      ripen: () => Promise.resolve(0),
      countWaiting: () => Promise.resolve(0),
      countDue: () => Promise.resolve({ gpuTasks: 0, cpuTasks: 0 }),
      claimWaiting: unused,
    },
    fleet: { refresh: unused, roomFor: unused, roomSince: unused, expectNothing: unused },
    gate: { threshold: 0, ask: unused, askForPlacing: unused },
    placer: { place: unused },
    refusals: { note: unused, stands: unused },
    kept: { avoidedBy: unused, refresh: () => Promise.resolve(), keepFor: () => Promise.resolve() },
    stamper: { stamp: unused },
    claimer: { owner: "this", leaseMs: 30_000 },
    clock: ports.clock,
    logger: silentLogger,
    planChanged: unused,
    metrics: createOrchestratorMetrics(createMetrics({ processMetrics: false })),
  });
  const pass = (request: Partial<PassRequest> = {}) =>
    resumer.pass({ planId: null, cause: "test", thorough: false, signal: new AbortController().signal, ...request });
  return { resumer, pass, seen, ports };
}

const roomAppeared = { isMeant: () => true };

describe("heads read ahead", () => {
  it("serve the next pass that answers room, once", async () => {
    const { resumer, pass, seen } = resumerOf();
    resumer.prepare();
    resumer.prepare();
    expect(seen.reads).toBe(1);
    await pass(roomAppeared);
    expect(seen.reads).toBe(1);
    await pass(roomAppeared);
    expect(seen.reads).toBe(2);
  });

  it("serve no other pass, and none after 20 ms", async () => {
    const { resumer, pass, seen, ports } = resumerOf();
    for (const request of [{}, { ...roomAppeared, planId: "a" }, { thorough: true }]) {
      resumer.prepare();
      await pass(request);
    }
    expect(seen.reads).toBe(6);
    resumer.prepare();
    await ports.advance(21);
    await pass(roomAppeared);
    expect(seen.reads).toBe(8);
  });

  it("are read again when the database did not answer", async () => {
    const { resumer, pass, seen } = resumerOf();
    seen.fails = true;
    resumer.prepare();
    seen.fails = false;
    await pass(roomAppeared);
    expect(seen.reads).toBe(2);
  });
});
