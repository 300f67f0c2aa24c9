import { type ReserveRequest, wire } from "@headroom/contracts";
import { HeadroomError } from "@headroom/rpc";
import { silentLogger } from "@headroom/runtime";
import { manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { type PreviewOptions, previewPlan } from "./previewer.ts";

const plan = wire.WorkPlan.fromPartial({
  name: "plan",
  tasks: [
    { name: "first", command: { argv: ["true"] }, needs: { cpuCores: 1 } },
    { name: "after", command: { argv: ["true"] }, needs: { cpuCores: 64 }, dependsOn: ["first"] },
  ],
});

/** The reasons of the tasks, and how often the registry was asked what can never fit. */
async function preview(isUp: boolean, reserve: () => unknown) {
  let asked = 0;
  const expected: (number | null)[] = [];
  const sentence = "It gives no sign of life.";
  const options = {
    store: { queueFronts: () => Promise.resolve(new Map()) },
    fleet: { roomFor: () => 10, snapshot: () => (isUp ? { kind: "up" } : { kind: "down", sentence }) },
    gate: {
      askForPlacing: () =>
        isUp
          ? { kind: "open", verdict: null }
          : { kind: "held", reason: "REGISTRY_UNAVAILABLE", sentence, verdict: null },
    },
    registry: {
      reserve: async (requests: readonly ReserveRequest[]) => {
        expected.push(...requests.map(({ expectedDurationMs }) => expectedDurationMs));
        return reserve();
      },
      explain: () => {
        asked += 1;
        const verdict = wire.FleetVerdict.FLEET_VERDICT_NEVER;
        return Promise.resolve({ explanation: wire.CapacityExplanation.fromPartial({ verdict }) });
      },
    },
    avoided: { current: () => new Set() },
    kept: { avoidedBy: () => new Set() },
    ports: manualPorts(),
    pointMs: 1_000,
    expectDurations: () => Promise.resolve((name: string) => (name === "first" ? 42_000 : null)),
  } as unknown as PreviewOptions;
  const tasks = await previewPlan(options, plan, silentLogger);
  return { reasons: tasks.map(({ reason }) => reason), asked, expected };
}

const outcomes = [{ kind: "reserved", reservation: { agentId: "a" } }];

describe("previewPlan", () => {
  it("asks about what waits for something else whether it can ever fit", async () => {
    const told = await preview(true, () => ({ outcomes }));
    expect(told).toMatchObject({ reasons: [null, "NO_AGENT_CAN_EVER_FIT"], asked: 1 });
  });

  it("asks for room with the durations that were learned, as the acceptance of the plan would", async () => {
    expect((await preview(true, () => ({ outcomes }))).expected).toEqual([42_000]);
  });

  it("does not wait for a registry that gives no sign of life", async () => {
    const told = await preview(false, () => ({ outcomes }));
    expect(told).toMatchObject({ reasons: ["REGISTRY_UNAVAILABLE", "DEPENDENCY_PENDING"], asked: 0 });
  });

  it("does not wait a second time for a registry that has not answered", async () => {
    const told = await preview(true, () => {
      throw new HeadroomError({ code: "DEADLINE_EXCEEDED", reason: "DEADLINE_EXCEEDED", message: "no answer in time" });
    });
    expect(told).toMatchObject({ reasons: ["REGISTRY_UNAVAILABLE", "DEPENDENCY_PENDING"], asked: 0 });
  });
});
