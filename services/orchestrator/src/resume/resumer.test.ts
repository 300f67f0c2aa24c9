import { createMetrics, silentLogger } from "@headroom/runtime";
import { normalizeNeeds } from "@headroom/scheduling";
import { manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { createOrchestratorMetrics } from "../orchestrator-metrics.ts";
import type { Gate } from "../placing/gate.ts";
import type { Placed } from "../placing/placer.ts";
import type { ClaimedTask, QueueHead } from "../store/model.ts";
import type { ClaimWaiting } from "../store/port.ts";
import { createRefusals } from "./refusals.ts";
import { createResumer, type ResumerOptions } from "./resumer.ts";
import { roomOf } from "./room-of.test-helper.ts";

const headOf = (shapeKey: string): QueueHead => ({
  shapeKey,
  taskId: shapeKey,
  planId: "plan",
  taskName: shapeKey,
  rank: 1,
  usesGpu: false,
  needs: normalizeNeeds({ cpuMillicores: 1_000 }),
  expectedDurationMs: null,
  waitedMs: 0,
});

/** Room for one task of each shape, which is given; `queue`: the shapes of which one waits. */
function begin(queue: Set<string>) {
  const placed: string[] = [];
  const ports = manualPorts();
  const fleet = { ...roomOf(() => 1), roomSince: () => true, refresh: () => Promise.resolve() };
  const store = {
    queueHeads: () => Promise.resolve({ heads: [...queue].map(headOf), next: null }),
    claimWaiting: ({ shapes }: ClaimWaiting) =>
      Promise.resolve(
        shapes
          .filter(({ shapeKey }) => queue.delete(shapeKey))
          .map(({ shapeKey }) => ({ ...headOf(shapeKey), state: "paused" }) as unknown as ClaimedTask),
      ),
    countWaiting: () => Promise.resolve(queue.size),
  };
  const resumer = createResumer({
    store: store as unknown as ResumerOptions["store"],
    fleet,
    gate: { askForPlacing: () => ({ kind: "open", verdict: {} }) } as unknown as Gate,
    placer: {
      lockedPlans: () => Promise.resolve(new Set()),
      place(claimed) {
        placed.push(...claimed.map(({ shapeKey }) => shapeKey));
        const assigned = claimed.map(({ planId }) => ({ planId }));
        return Promise.resolve({
          assigned,
          parked: [],
          shapesWithoutRoom: new Map(),
          refusedAlone: new Map(),
        } as unknown as Placed);
      },
    },
    refusals: createRefusals(fleet),
    kept: {
      avoidedBy: () => new Set(),
      isAnyInForce: () => false,
      refresh: () => Promise.resolve(),
      keepFor: () => Promise.resolve(),
    },
    avoided: { current: () => new Set() },
    stamper: { stamp: () => Promise.resolve() },
    stillNever: { ask: () => Promise.resolve() },
    claimer: { owner: "this", leaseMs: 30_000 },
    claimEnds: { note: () => undefined },
    clock: ports.clock,
    timers: ports.timers,
    logger: silentLogger,
    planChanged: () => undefined,
    metrics: createOrchestratorMetrics(createMetrics({ processMetrics: false })),
  });
  const { signal } = new AbortController();
  const request = { planId: null, cause: "room appeared", thorough: false, isMeant: () => true, signal };
  return { placed, resumer, request };
}

describe("a pass for room that was expected", () => {
  it("takes what joined the queue after its heads were read, too, and nothing twice", async () => {
    const queue = new Set(["early"]);
    const { placed, resumer, request } = begin(queue);
    resumer.expectRoom();
    queue.add("late");
    expect(await resumer.pass(request)).toMatchObject({ resumed: 2, endedAt: "done", waiting: 0 });
    expect(placed).toEqual(["early", "late"]);
  });

  it("does without heads that somebody else has taken meanwhile", async () => {
    const queue = new Set(["gone"]);
    const { placed, resumer, request } = begin(queue);
    resumer.expectRoom();
    queue.clear();
    queue.add("there");
    expect(await resumer.pass(request)).toMatchObject({ resumed: 1 });
    expect(placed).toEqual(["there"]);
  });
});
