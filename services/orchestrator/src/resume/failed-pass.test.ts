/** What a pass that fails was to look at is looked at by a later one. */
import { createMetrics, silentLogger } from "@headroom/runtime";
import { manualPorts, waitFor } from "@headroom/testing";
import { expect, it } from "vitest";
import type { FleetNews } from "../fleet-view/fleet-view.ts";
import { createOrchestratorMetrics } from "../orchestrator-metrics.ts";
import { createResumeLoop } from "./resume-loop.ts";
import type { PassResult } from "./resumer.ts";

const nothing: PassResult = { resumed: 0, takenOver: 0, waiting: 1, endedAt: "done", isRefusedInVain: false };
const errorDelayMs = 30_000;

/** A loop that polls once an hour, of which these passes fail. `told`: of the passes so far what they were to look at. */
function begin(fails: (pass: number, thorough: boolean) => boolean) {
  const ports = manualPorts();
  const told: ("all" | "any room" | "our room")[] = [];
  let tell: (news: FleetNews) => void = () => undefined;
  const loop = createResumeLoop({
    resumer: {
      pass({ thorough, isMeant }) {
        told.push(thorough ? "all" : isMeant === undefined ? "any room" : "our room");
        return fails(told.length, thorough) ? Promise.reject(new Error("it fails")) : Promise.resolve(nothing);
      },
    },
    store: { nextDueInMs: () => Promise.resolve(null) },
    fleet: {
      onNews(listener) {
        tell = listener;
        return () => undefined;
      },
    },
    avoided: { endsInMs: () => null, onAvoided: () => () => undefined },
    kept: { endsInMs: () => null, onChange: () => () => undefined },
    holds: () => true,
    ports,
    logger: silentLogger,
    intervalMs: 3_600_000,
    errorDelayMs,
    metrics: createOrchestratorMetrics(createMetrics({ processMetrics: false })),
  });
  return {
    ports,
    told,
    loop,
    roomAppears: () => tell({ kind: "room_appeared", agentIds: ["ours"] }),
    passes: async (count: number): Promise<void> => {
      await waitFor(() => told.length === count);
      // It has ended: the loop waits for the next one.
      await waitFor(() => ports.timers.pendingDelays().length > 0);
    },
  };
}

it("an event that comes before the next try takes nothing from it: room of others is looked at, and the poll follows", async () => {
  const { ports, told, loop, roomAppears, passes } = begin((pass) => pass === 1);
  await loop.start();
  await passes(1);
  await ports.advance(2_000);
  roomAppears();
  await passes(2);
  await ports.advance(errorDelayMs);
  expect(told).toEqual(["all", "any room"]);
  await ports.advance(errorDelayMs * 0.2);
  await passes(3);
  roomAppears();
  await passes(4);
  await ports.advance(1_800_000);
  await loop.stop();
  expect(told).toEqual(["all", "any room", "all", "our room"]);
});

it("where polls fail and nothing else does, events are answered in between, and a poll is tried no more often than after each error", async () => {
  const { ports, told, loop, roomAppears, passes } = begin((_, thorough) => thorough);
  await loop.start();
  await passes(1);
  for (let event = 0; event < 40; event += 1) {
    await ports.advance(2_000);
    const before = told.length;
    roomAppears();
    await waitFor(() => told.length > before);
  }
  await loop.stop();
  const polls = told.filter((one) => one === "all").length;
  expect(polls).toBeGreaterThanOrEqual(3);
  expect(polls).toBeLessThanOrEqual(1 + 80_000 / errorDelayMs);
  expect(told.length - polls).toBeGreaterThan(30);
});
