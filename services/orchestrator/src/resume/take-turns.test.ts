import { normalizeNeeds } from "@headroom/scheduling";
import { describe, expect, it } from "vitest";
import type { Placed } from "../placing/placer.ts";
import type { ClaimedTask, QueueHead } from "../store/model.ts";
import { createRefusals } from "./refusals.ts";
import { takeTurns, type TurnOptions } from "./take-turns.ts";

const needs = normalizeNeeds({ cpuMillicores: 1_000 });
const head: QueueHead = {
  shapeKey: "shape",
  taskId: "task",
  planId: "plan",
  taskName: "task",
  rank: 1,
  usesGpu: false,
  needs,
  expectedDurationMs: null,
  waitedMs: 0,
};
const claimed: ClaimedTask = {
  taskId: "task",
  planId: "plan",
  taskName: "task",
  state: "paused",
  needs,
  shapeKey: "shape",
  priority: 0,
  rank: 1,
  pausedAtMs: 0,
  expectedDurationMs: null,
  attemptId: "attempt",
  mayHoldRoom: false,
  fence: 1,
};

/** Passes over a queue of one task, for which the registry has no room: how often was it asked? */
async function askedIn(passes: number, isForNow: boolean): Promise<number> {
  let asked = 0;
  const refused: Placed = {
    assigned: [],
    parked: [],
    shapesWithoutRoom: new Map([["shape", { reason: "NO_AGENT_FITS_NOW", sentence: "", isForNow }]]),
    revision: { instance: "registry", counter: 7 },
    registryAway: false,
  };
  const fleet = { roomFor: () => 1, roomSince: () => false };
  const options: TurnOptions = {
    store: { claimWaiting: () => Promise.resolve([claimed]) },
    fleet,
    placer: {
      place() {
        asked += 1;
        return Promise.resolve(refused);
      },
    },
    refusals: createRefusals(fleet),
    kept: { avoidedBy: () => new Set() },
    stamper: { stamp: () => Promise.resolve() },
    claimer: { owner: "this", leaseMs: 30_000 },
    tell: () => undefined,
    maxRounds: 10,
  };
  for (let pass = 0; pass < passes; pass += 1) {
    const signal = new AbortController().signal;
    await takeTurns(options, { planId: null, cause: "test", thorough: false, signal }, [head]);
  }
  return asked;
}

describe("a shape that was refused", () => {
  it("is not asked for again until room appears", async () => {
    expect(await askedIn(3, false)).toBe(1);
  });

  it("is asked for again when the refusal left agents out: their time ends without that any room appears", async () => {
    expect(await askedIn(3, true)).toBe(3);
  });
});
