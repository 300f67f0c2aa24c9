import { timestampFromMs, wire } from "@headroom/contracts";
import { afterEach, describe, expect, it } from "vitest";
import { type CliOutcome, runTestCli, startTestServices } from "../cli.test-helper.ts";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const learned = wire.InspectPlacementResponse.fromPartial({
  policy: "stranded",
  policies: ["best-fit", "stranded"],
  learningSince: timestampFromMs(Date.UTC(2026, 0, 31, 12)),
  arrivals: 1_234,
  effectiveArrivals: 1_200,
  shapeCount: 2,
  agents: 3,
  distinctStates: 2,
  shapes: [
    { cpuCores: 4, gpuCount: 1, gpuVramGb: 8, gpuModels: ["rtx 4090"], share: 0.75 },
    { cpuCores: 2, share: 0.25 },
  ],
  models: [{ model: "rtx 4090", vramGb: 24, supplyShare: 0.2, demandShare: 0.6, price: 3 }],
  holes: [
    { cardVramGb: 24, freeFromGb: 4, freeToGb: 4.1875, cards: 12, filledPerThousand: 0.5 },
    { cardVramGb: 24, freeFromGb: 8, freeToGb: 8.1875, cards: 1 },
  ],
  sentences: ["Of 100 tasks, 75 take a part of a card, 25 no card."],
});

async function run(answer: wire.InspectPlacementResponse, ...args: readonly string[]) {
  const asked: wire.InspectPlacementRequest[] = [];
  const services = await startTestServices({
    fleet: {
      inspectPlacement: (request) => {
        asked.push(request);
        return Promise.resolve(answer);
      },
    },
  });
  cleanups.push(() => services.stop());
  const outcome: CliOutcome = await runTestCli([...services.flags, "placement", ...args]);
  return { ...outcome, asked };
}

describe("headroom placement inspect", () => {
  it("says the policy, since when it learns and from how many, and what it makes of it", async () => {
    const { code, stdout, asked } = await run(learned, "inspect", "--limit", "5");
    expect(code).toBe(0);
    expect(asked).toEqual([{ maxShapes: 5, maxHoles: 5 }]);
    expect(stdout).toMatch(/policy\s+stranded \(a request may name best-fit\)/);
    expect(stdout).toMatch(/learned from\s+1234 tasks since 2026-01-31 12:00:00Z/);
    expect(stdout).toContain("Of 100 tasks, 75 take a part of a card, 25 no card.");
    expect(stdout).toMatch(/75\s+4 cores, 8 GiB VRAM on 1 GPU, model rtx 4090/);
    expect(stdout).toMatch(/25\s+2 cores\n/);
    expect(stdout).toMatch(/rtx 4090 24 GiB\s+60 %\s+20 %\s+3/);
    expect(stdout).toMatch(/12\s+4 to 4.2 GiB\s+24 GiB\s+0.5/);
    expect(stdout).toMatch(/8 to 8.2 GiB\s+24 GiB\s+not known yet/);
  });

  it("as JSON: the registry's answer", async () => {
    const { code, stdout } = await run(learned, "-o", "json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ policy: "stranded", arrivals: 1_234, shapes: [{ share: 0.75 }, {}] });
  });

  it("before anything has come: no tables", async () => {
    const { stdout } = await run(wire.InspectPlacementResponse.fromPartial({ policy: "stranded" }));
    expect(stdout).toMatch(/learned from\s+0 tasks\n/);
    expect(stdout).not.toContain("OF 100 TASKS");
  });
});
