import { createMetrics } from "@headroom/runtime";
import { captureLogger, manualPorts, waitFor } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { createOrchestratorMetrics } from "../orchestrator-metrics.ts";
import { avoidMs, createAvoidedAgents } from "../placing/avoided-agents.ts";
import { createResumeLoop } from "./resume-loop.ts";
import type { PassResult } from "./resumer.ts";

const nothing: PassResult = { resumed: 0, takenOver: 0, waiting: 1, endedAt: "done", isRefusedInVain: false };

/** A loop whose passes end when they are told to, with this result; `causes`: of the passes so far. */
function begin(intervalMs = 3_600_000) {
  const ports = manualPorts();
  const avoided = createAvoidedAgents(ports.clock);
  const logger = captureLogger();
  const causes: string[] = [];
  let keptForMs: number | null = null;
  let tellOfKept: (change: "begun" | "served") => void = () => undefined;
  let endPass: (result: PassResult | Promise<never>) => void = () => undefined;
  const loop = createResumeLoop({
    resumer: {
      pass({ cause }) {
        causes.push(cause);
        return new Promise((resolve) => (endPass = resolve));
      },
    },
    store: { nextDueInMs: () => Promise.resolve(null) },
    fleet: { onNews: () => () => undefined },
    avoided,
    kept: {
      endsInMs: () => keptForMs,
      onChange(listener) {
        tellOfKept = listener;
        return () => undefined;
      },
    },
    holds: () => true,
    ports,
    logger,
    intervalMs,
    errorDelayMs: 30_000,
    metrics: createOrchestratorMetrics(createMetrics({ processMetrics: false })),
  });
  return {
    ports,
    avoided,
    causes,
    loop,
    keptChanges: (change: "begun" | "served", forMs: number | null) => {
      keptForMs = forMs;
      tellOfKept(change);
    },
    endPass: (result: PassResult = nothing) => endPass(result),
    failPass: (why: string) => endPass(Promise.reject(new Error(why))),
    told: () =>
      logger.records.filter(({ level }) => level !== "debug").map(({ level, message }) => `${level}: ${message}`),
    passes: (count: number) => waitFor(() => causes.length === count),
    /** After a pass that failed. */
    isWaiting: () => waitFor(() => ports.timers.pendingDelays().length > 0),
    isIdle: () => waitFor(() => loop.lastPassAtMs() === ports.clock.now()),
  };
}

describe("resume loop", () => {
  it("looks again when an agent is avoided no more, also when that was while a pass was under way", async () => {
    const { ports, avoided, causes, loop, endPass, passes, isIdle } = begin();
    await loop.start();
    await passes(1);
    // Begins and ends within the first pass.
    avoided.avoid("one", "refused");
    await ports.advance(avoidMs + 2);
    endPass();
    await passes(2);
    // Begins after it, ends when nothing is under way.
    endPass();
    await isIdle();
    avoided.avoid("one", "refused");
    await ports.advance(avoidMs + 2);
    await passes(3);
    endPass();
    await loop.stop();
    expect(causes).toEqual(["start", "an agent is avoided no more", "an agent is avoided no more"]);
  });

  it("looks again when an agent is kept no more, because that ended or because its task was given room", async () => {
    const { ports, causes, loop, endPass, passes, isIdle, keptChanges } = begin();
    await loop.start();
    await passes(1);
    endPass();
    await isIdle();
    keptChanges("begun", 300_000);
    await ports.advance(299_000);
    expect(causes).toHaveLength(1);
    keptChanges("begun", 1_000);
    await ports.advance(1_002);
    await passes(2);
    endPass();
    await isIdle();
    keptChanges("served", null);
    await passes(3);
    endPass();
    await loop.stop();
    expect(causes).toEqual(["start", "an agent is kept no more", "an agent is kept no more"]);
  });

  it.each([
    ["is behind has refused something", { isRefusedInVain: true }],
    ["stands still has not answered", { endedAt: "registry away" }],
  ] as const)(
    "looks again when a registry that %s, later each time, and no more when it is past",
    async (_, inVain) => {
      const { ports, causes, loop, endPass, passes, isIdle } = begin();
      const longestOf = (plannedMs: number) => 1.2 * plannedMs + 1;
      await loop.start();
      await passes(1);
      for (const [round, plannedMs] of [500, 1_000, 2_000].entries()) {
        endPass({ ...nothing, ...inVain });
        await isIdle();
        await ports.advance(plannedMs * 0.7);
        expect(causes.length).toBe(round + 1);
        await ports.advance(longestOf(plannedMs * 0.5));
        await passes(round + 2);
      }
      endPass();
      await isIdle();
      await ports.advance(60_000);
      expect(causes).toEqual(["start", ...Array.from({ length: 3 }, () => "the registry may answer otherwise now")]);
      await loop.stop();
    },
  );

  it.each([10_000, 3_000])(
    "R-PAUSE-7: passes follow each other at the polling interval, here %s ms, within a tenth",
    async (intervalMs) => {
      const { ports, causes, loop, endPass, passes, isIdle } = begin(intervalMs);
      await loop.start();
      await passes(1);
      endPass();
      await isIdle();
      await ports.advance(0.9 * intervalMs - 1);
      expect(causes).toEqual(["start"]);
      await ports.advance(0.2 * intervalMs + 1);
      await passes(2);
      endPass();
      await isIdle();
      await ports.advance(1.1 * intervalMs);
      await passes(3);
      endPass();
      await loop.stop();
      expect(causes).toEqual(["start", "interval", "interval"]);
    },
  );

  it("polls at its interval, a tenth more or less: replicas that were started together part", async () => {
    const { ports, causes, loop, endPass, passes, isIdle } = begin(10_000);
    await loop.start();
    await passes(1);
    const apartMs: number[] = [];
    while (apartMs.length < 40) {
      endPass();
      await isIdle();
      const fromMs = ports.clock.monotonic();
      const before = causes.length;
      while (causes.length === before) await ports.advance(50);
      apartMs.push(ports.clock.monotonic() - fromMs);
    }
    endPass();
    await loop.stop("test");
    expect(new Set(causes.slice(1))).toEqual(new Set(["interval"]));
    const [least, most] = [Math.min(...apartMs), Math.max(...apartMs)];
    expect(least).toBeGreaterThanOrEqual(9_000);
    expect(most).toBeLessThanOrEqual(11_050);
    expect([least < 9_500, most > 10_500]).toEqual([true, true]);
  });

  it("R-PAUSE-7: after a pass that failed the next one follows in 30 s, within a tenth, whatever the polling interval", async () => {
    const { ports, causes, loop, endPass, failPass, passes, isWaiting } = begin(1_000);
    await loop.start();
    await passes(1);
    failPass("the database is away");
    await isWaiting();
    await ports.advance(26_000);
    expect(causes).toEqual(["start"]);
    await ports.advance(7_100);
    await passes(2);
    expect(causes).toEqual(["start", "retry"]);
    endPass();
    await loop.stop();
  });

  it("R-PAUSE-7: news are heeded from a second after a pass that failed on", async () => {
    const { ports, causes, loop, endPass, failPass, passes, isWaiting } = begin();
    await loop.start();
    await passes(1);
    failPass("the database is away");
    await isWaiting();
    await ports.advance(500);
    loop.wake("the registry is back");
    await ports.advance(390);
    expect(causes).toEqual(["start"]);
    await ports.advance(220);
    await passes(2);
    expect(causes).toEqual(["start", "the registry is back"]);
    endPass();
    await loop.stop();
  });

  it("says why passes fail once for each cause, and once that they work again", async () => {
    const { ports, loop, endPass, failPass, told, passes, isIdle, isWaiting } = begin();
    await loop.start();
    for (const [round, why] of ["one", "one", "two", "two"].entries()) {
      await passes(round + 1);
      failPass(why);
      await isWaiting();
      await ports.advance(35_000);
    }
    await passes(5);
    endPass();
    await isIdle();
    await loop.stop();
    expect(told()).toEqual([
      "error: a pass over the queue failed (one); nothing is lost, it is tried again",
      "error: a pass over the queue failed (two); nothing is lost, it is tried again",
      "info: passes over the queue work again",
    ]);
  });
});
