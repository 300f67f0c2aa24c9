import { createMetrics, silentLogger } from "@headroom/runtime";
import { manualPorts, waitFor } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { createOrchestratorMetrics } from "../orchestrator-metrics.ts";
import { avoidMs, createAvoidedAgents } from "../placing/avoided-agents.ts";
import { createResumeLoop } from "./resume-loop.ts";
import type { PassResult } from "./resumer.ts";

describe("resume loop", () => {
  it("looks again when an agent is avoided no more, also when that was while a pass was under way", async () => {
    const ports = manualPorts();
    const avoided = createAvoidedAgents(ports.clock);
    const nothing: PassResult = { resumed: 0, takenOver: 0, waiting: 1, endedAt: "done" };
    const causes: string[] = [];
    let endPass: () => void = () => undefined;
    const loop = createResumeLoop({
      resumer: {
        pass({ cause }) {
          causes.push(cause);
          return new Promise((resolve) => (endPass = () => resolve(nothing)));
        },
      },
      store: { nextDueInMs: () => Promise.resolve(null) },
      fleet: { onNews: () => () => undefined },
      avoided,
      holds: () => true,
      ports,
      logger: silentLogger,
      intervalMs: 3_600_000,
      errorDelayMs: 30_000,
      metrics: createOrchestratorMetrics(createMetrics({ processMetrics: false })),
    });
    const passes = (count: number) => waitFor(() => causes.length === count);
    await loop.start();
    await passes(1);
    // Begins and ends within the first pass.
    avoided.avoid("one", "refused");
    await ports.advance(avoidMs + 2);
    endPass();
    await passes(2);
    // Begins after it, ends when nothing is under way.
    endPass();
    await waitFor(() => loop.lastPassAtMs() === ports.clock.now());
    avoided.avoid("one", "refused");
    await ports.advance(avoidMs + 2);
    await passes(3);
    endPass();
    await loop.stop();
    expect(causes).toEqual(["start", "an agent is avoided no more", "an agent is avoided no more"]);
  });
});
