import { needsFromWire, wire } from "@headroom/contracts";
import { silentLogger } from "@headroom/runtime";
import { manualPorts } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import { whatHolds } from "./acceptor.ts";
import { queueShape } from "./queue-shape.ts";

const pointMs = 600_000;

/** The reasons why tasks of one plan wait, in which a task of the same needs heads the queue whose rank lies so far back; null: none does. */
async function reasons(leadMs: number | null, tasks: readonly Partial<wire.TaskSpec>[], room = 100) {
  const plan = wire.WorkPlan.fromPartial({
    name: "plan",
    tasks: tasks.map((task, index) => ({
      name: `t${index}`,
      command: { argv: ["true"] },
      needs: { cpuCores: 1 },
      ...task,
    })),
  });
  const shape = queueShape(needsFromWire(wire.ResourceNeeds.fromPartial({ cpuCores: 1 })));
  const options = {
    store: { queueFronts: () => Promise.resolve(new Map(leadMs === null ? [] : [[shape, leadMs]])) },
    fleet: { roomFor: () => room, snapshot: () => ({ kind: "up" }) },
    gate: { askForPlacing: () => ({ kind: "open", verdict: null }) },
    ports: manualPorts(),
    pointMs,
  } as unknown as Parameters<typeof whatHolds>[0];
  const holds = await whatHolds(options, plan, silentLogger);
  return plan.tasks.map(({ needs, priority = 0 }) => {
    const normal = needsFromWire(needs);
    const pause = holds({ needs: normal, shapeKey: queueShape(normal), priority, resumeAfterMs: null, dependsOn: [] });
    return pause?.reason ?? null;
  });
}

describe("whatHolds", () => {
  it("lets nothing go before what waits with the same needs, whatever room there is", async () => {
    expect(await reasons(1, [{}])).toEqual(["AWAITING_TURN"]);
    expect(await reasons(null, [{}])).toEqual([null]);
  });

  it("lets go before it what has a higher priority, by more than its age counts", async () => {
    expect(await reasons(pointMs - 1, [{ priority: 1 }])).toEqual([null]);
    expect(await reasons(pointMs, [{ priority: 1 }])).toEqual(["AWAITING_TURN"]);
    // What waits has the higher one.
    expect(await reasons(-pointMs, [{ priority: -1 }])).toEqual(["AWAITING_TURN"]);
    expect(await reasons(-pointMs - 1, [{ priority: -1 }])).toEqual([null]);
  });

  it("says nothing of what needs something else", async () => {
    const other = { needs: wire.ResourceNeeds.fromPartial({ cpuCores: 2 }) };
    expect(await reasons(1, [other, {}])).toEqual([null, "AWAITING_TURN"]);
  });

  it("asks the registry about no more than there is room for, and a few", async () => {
    const told = await reasons(
      null,
      Array.from({ length: 20 }, () => ({})),
      2,
    );
    expect(told).toEqual([...Array<null>(18).fill(null), "AWAITING_TURN", "AWAITING_TURN"]);
  });
});
