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
  usesGpu: shapeKey.startsWith("gpu"),
  needs: normalizeNeeds({ cpuMillicores: 1_000 }),
  expectedDurationMs: null,
  waitedMs: 0,
});

/** Room for one task of each shape, which is given; `queue`: the shapes of which one waits; `stuck`: of which one does that cannot be claimed. */
function begin(queue: Set<string>, stuck: readonly string[] = []) {
  let isOpen = true;
  let isGpuHeld = false;
  const placed: string[] = [];
  /** What had been placed when the registry was asked about what no agent could ever take. */
  const askedBehind: (readonly string[])[] = [];
  const ports = manualPorts();
  const watch = { told: 0, asked: 0 };
  const refresh = () => {
    watch.asked += 1;
    // As the view does: an answer counts like a word of the watch.
    watch.told += 1;
    return Promise.resolve();
  };
  const fleet = { ...roomOf(() => 1), roomSince: () => true, asOf: () => watch.told, refresh };
  const store = {
    queueHeads: () => Promise.resolve({ heads: [...queue, ...stuck].map(headOf), next: null }),
    claimWaiting: ({ shapes }: ClaimWaiting) =>
      Promise.resolve(
        shapes
          .filter(({ shapeKey }) => queue.delete(shapeKey))
          .map(({ shapeKey }) => ({ ...headOf(shapeKey), state: "paused" }) as unknown as ClaimedTask),
      ),
    countWaiting: () => Promise.resolve(queue.size),
    claimOrphans: () => Promise.resolve([]),
    ripen: () => Promise.resolve(0),
    countDue: () => Promise.resolve({ cpuTasks: queue.size, gpuTasks: 0 }),
  };
  const resumer = createResumer({
    store: store as unknown as ResumerOptions["store"],
    fleet,
    gate: {
      askForPlacing: ({ gpuCount }: { readonly gpuCount: number }) =>
        isOpen && !(isGpuHeld && gpuCount > 0)
          ? { kind: "open", verdict: {} }
          : { kind: "held", reason: "FLEET_BELOW_THRESHOLD", sentence: "", verdict: null },
    } as unknown as Gate,
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
    stillNever: {
      ask() {
        askedBehind.push([...placed]);
        return Promise.resolve();
      },
      verdictOn: () => null,
    },
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
  const poll = { planId: null, cause: "interval", thorough: true, signal };
  const isHeld = (): void => void (isOpen = false);
  return { placed, askedBehind, resumer, request, poll, watch, isHeld, gpuIsHeld: () => void (isGpuHeld = true) };
}

describe("a poll", () => {
  it("asks the registry for room where the watch has told nothing since the last one, whatever the gate says", async () => {
    const { resumer, request, poll, watch } = begin(new Set(), ["waits"]);
    await resumer.pass(poll);
    expect(watch.asked).toBe(0);
    await resumer.pass(poll);
    expect(watch.asked).toBe(1);
    await resumer.pass(poll);
    expect(watch.asked).toBe(2);
    watch.told += 1;
    await resumer.pass(poll);
    await resumer.pass(request);
    expect(watch.asked).toBe(2);
  });

  it("asks once where the gate is closed, and not at all where nothing waits", async () => {
    const { resumer, poll, watch, isHeld } = begin(new Set(), ["waits", "waits too"]);
    isHeld();
    await resumer.pass(poll);
    await resumer.pass(poll);
    expect(watch.asked).toBe(2);
    const idle = begin(new Set());
    await idle.resumer.pass(idle.poll);
    await idle.resumer.pass(idle.poll);
    expect(idle.watch.asked).toBe(0);
  });
});

it("a poll places what it can before it asks about what no agent could ever take", async () => {
  const { askedBehind, resumer, poll, gpuIsHeld } = begin(new Set(["waits"]), ["gpu"]);
  gpuIsHeld();
  await resumer.pass(poll);
  expect(askedBehind).toEqual([["waits"]]);
});

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
