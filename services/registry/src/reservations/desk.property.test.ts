/** Two registry processes on one store, in any order of what can happen. A failure prints its seed. */
import { silentLogger } from "@headroom/runtime";
import { holdsRoom, normalizeNeeds } from "@headroom/scheduling";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { viewOf } from "../fleet/agent-views.ts";
import { Fleet } from "../fleet/fleet.ts";
import { CapacityIndex } from "../fleet/index/capacity-index.ts";
import { mergeLoaded } from "../fleet/merge-loaded.ts";
import { StoreClock } from "../fleet/store-clock.ts";
import { placingOn } from "../placement/placing.test-helper.ts";
import type { RegistryStore } from "../store/registry-store.ts";
import { agentWith, sampleWith } from "../test-agents.test-helper.ts";
import { ReservationDesk } from "./desk.ts";
import { MemoryRows } from "./memory-rows.test-helper.ts";
import { releaseOperation } from "./release.ts";
import { renewOperation } from "./renew.ts";
import { reserveOperation } from "./reserve.ts";

const INTERVAL_MS = 5_000;
const TOTAL_MILLICORES = 16_000;
const TOTAL_VRAM_MIB = 24_576;
const AGENT_IDS = [1, 2, 3].map((number) => `00000000-0000-4000-8000-00000000000${number}`);
const ATTEMPT_IDS = Array.from({ length: 8 }, (_, number) => `00000000-0000-4000-8000-0000000000a${number}`);

class Process {
  readonly fleet = new Fleet("r");
  readonly index = new CapacityIndex(this.fleet);
  readonly placing = placingOn(this.fleet, this.index, "stranded");
  readonly desk: ReservationDesk;

  constructor(rows: MemoryRows) {
    const clock = { now: () => rows.nowMs, monotonic: () => rows.nowMs };
    const { fleet } = this;
    for (const agent of rows.agents()) fleet.put(agent);
    this.desk = new ReservationDesk({
      fleet,
      // The desk uses no other part of the store.
      store: rows as Partial<RegistryStore> as RegistryStore,
      storeClock: new StoreClock(clock),
      logger: silentLogger,
      takeLoaded(agents) {
        for (const agent of agents) fleet.put(mergeLoaded(fleet.get(agent.agentId), agent, "this_process"));
      },
    });
  }

  /** The agent reports what it runs: all that it was given a promise for and that it has not finished. */
  async beat(agentId: string, attemptIds: readonly string[], rows: MemoryRows): Promise<void> {
    const attempts = attemptIds.map((attemptId) => {
      const { fence, reserved } = rows.row(attemptId)!;
      return { attemptId, fence, used: { ...reserved, cpuMillicores: Math.floor(reserved.cpuMillicores / 2) } };
    });
    const usedMillicores = attempts.reduce((sum, { used }) => sum + used.cpuMillicores, 0);
    const sample = { ...sampleWith((TOTAL_MILLICORES - usedMillicores) / 1_000), attempts };
    this.fleet.put({ ...this.fleet.get(agentId)!, sample });
    const { epoch } = this.fleet.get(agentId)!;
    this.desk.reconcileSoon(agentId, { by: "beat", epoch, madeAfterMs: rows.nowMs });
    await this.desk.idle();
  }
}

const which = fc.nat(1);
const attemptId = fc.constantFrom(...ATTEMPT_IDS);
const fence = fc.integer({ min: 1, max: 3 });
const anyStep = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("reserve" as const),
      which,
      fence,
      allOrNothing: fc.boolean(),
      hold: fc.boolean(),
      avoided: fc.oneof({ weight: 2, arbitrary: fc.constant<string[]>([]) }, fc.subarray(AGENT_IDS, { maxLength: 2 })),
      asked: fc.uniqueArray(
        fc.record({
          attemptId,
          cpuMillicores: fc.constantFrom(3_000, 7_000, 16_000),
          gpuVramMib: fc.constantFrom(0, 9_000, TOTAL_VRAM_MIB),
        }),
        {
          selector: (one) => one.attemptId,
          minLength: 1,
          maxLength: 4,
        },
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("release" as const), which, attemptId, fence }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("renew" as const), which, attemptId, fence }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(40_000) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("beat" as const),
      which,
      agentId: fc.constantFrom(...AGENT_IDS),
      running: fc.subarray(ATTEMPT_IDS),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const), which }) },
);
type AnyStep = typeof anyStep extends fc.Arbitrary<infer Step> ? Step : never;

async function take(step: AnyStep, rows: MemoryRows, processes: Process[]): Promise<void> {
  if (step.kind === "pass") {
    rows.nowMs += step.ms;
    for (const { desk } of processes) await desk.tick();
    return;
  }
  const at = processes[step.which]!;
  switch (step.kind) {
    case "reserve": {
      const requests = step.asked.map((asked) => ({
        attemptId: asked.attemptId,
        fence: step.fence,
        needs: normalizeNeeds({ cpuMillicores: asked.cpuMillicores, gpuVramMib: asked.gpuVramMib }),
        avoidAgentIds: new Set(step.avoided),
        kind: step.hold ? ("hold" as const) : ("attempt" as const),
        expectedDurationMs: null,
        taskId: "",
        planId: "",
      }));
      const { fleet, index, placing } = at;
      const options = { index, heartbeatIntervalMs: INTERVAL_MS, ...placing, random: 0 };
      const { allOrNothing } = step;
      const revision = () => fleet.revision;
      const { results } = await at.desk.submit(reserveOperation(requests, { ...options, allOrNothing, revision }));
      if (allOrNothing) expect(new Set(results.map(({ kind }) => kind === "reserved")).size).toBe(1);
      return;
    }
    case "release":
      await at.desk.submit(releaseOperation([step]));
      return;
    case "renew":
      await at.desk.submit(renewOperation([step], INTERVAL_MS));
      return;
    case "beat": {
      const given = rows.rows().filter((row) => row.agentId === step.agentId && holdsRoom(row));
      const running = given.map((row) => row.attemptId).filter((id) => step.running.includes(id));
      await at.beat(step.agentId, running, rows);
      return;
    }
    case "restart":
      processes[step.which] = new Process(rows);
  }
}

function expectSound(rows: MemoryRows, processes: readonly Process[]): void {
  for (const agentId of AGENT_IDS) {
    const held = rows.rows().filter((row) => row.agentId === agentId && holdsRoom(row));
    const sum = held.reduce((total, row) => total + row.reserved.cpuMillicores, 0);
    expect(sum).toBeLessThanOrEqual(TOTAL_MILLICORES);
    const cards = held.flatMap((row) => row.reserved.cards);
    expect(cards.reduce((total, card) => total + card.vramMib, 0)).toBeLessThanOrEqual(TOTAL_VRAM_MIB);
    for (const { fleet } of processes) {
      const { room } = viewOf(fleet.get(agentId)!);
      expect(room.cpu.free).toBeLessThanOrEqual(TOTAL_MILLICORES);
      expect(room.vram.free).toBeLessThanOrEqual(TOTAL_VRAM_MIB);
    }
  }
}

describe("reservations over two processes", () => {
  it("I3: no order of promises, beats, releases, expiries and restarts promises room twice or loses it for ever", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 40 }), async (history) => {
        const rows = new MemoryRows(AGENT_IDS.map((agentId) => agentWith({ agentId, sample: sampleWith(16) })));
        const processes = [new Process(rows), new Process(rows)];
        for (const step of history) {
          await take(step, rows, processes);
          expectSound(rows, processes);
        }
        // The machines fall idle and all leases end: everything is free again, here and in the store.
        rows.nowMs += 60_000;
        const fresh = new Process(rows);
        for (const agentId of AGENT_IDS) await fresh.beat(agentId, [], rows);
        await fresh.desk.tick();
        expect(rows.rows().filter(holdsRoom)).toEqual([]);
        for (const agent of fresh.fleet.agents()) {
          const { cpu, vram } = viewOf(agent).room;
          expect([cpu.free, vram.free]).toEqual([TOTAL_MILLICORES, TOTAL_VRAM_MIB]);
        }
      }),
      { numRuns: 150 },
    );
  }, 60_000);
});
