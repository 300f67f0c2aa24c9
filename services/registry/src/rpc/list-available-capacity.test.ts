import { wire } from "@headroom/contracts";
import type { CallContext } from "@headroom/rpc";
import { captureLogger, manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { CapacityIndex } from "../fleet/index/capacity-index.ts";
import { agentWith } from "../test-agents.test-helper.ts";
import type { HandlerDeps } from "./deps.ts";
import { listAvailableCapacity } from "./list-available-capacity.ts";

function begin() {
  const ports = manualPorts();
  const logger = captureLogger();
  const fleet = new Fleet("here");
  const deps = {
    requireReady: () => undefined,
    index: new CapacityIndex(fleet),
    fleet,
    clock: ports.clock,
    storeClock: { now: () => ports.clock.now() },
  } as unknown as HandlerDeps;
  const list = listAvailableCapacity(deps);
  return {
    ports,
    logger,
    fleet,
    ask: async (asked: Partial<wire.ListAvailableCapacityRequest>): Promise<void> => {
      await list(wire.ListAvailableCapacityRequest.fromPartial(asked), { logger } as unknown as CallContext);
    },
    told: () => logger.records.filter(({ level }) => level === "info"),
  };
}

it("R-CAP-4: an answer is logged at info with the count, the same one once a minute; the next line says how many were not", async () => {
  const { ports, logger, ask, told } = begin();
  for (let call = 0; call < 45; call += 1) {
    await ask({});
    await ports.advance(1_000);
  }
  expect(told()).toHaveLength(1);
  expect(told()[0]).toMatchObject({ message: "0 agents have the capacity asked for", fields: { agents: 0 } });
  expect(logger.records).toHaveLength(45);
  await ask({ minGpuVramGb: 8 });
  expect(told()[1]?.fields).toMatchObject({ agents: 0, min_gpu_vram_gb: 8 });
  await ports.advance(15_000);
  await ask({});
  expect(told()[2]?.fields).toMatchObject({ agents: 0, answers_not_told: 44 });
});

it("R-CAP-4: a count that comes back is logged, and no question with a count that keeps changing more than five times a minute", async () => {
  const { ports, logger, fleet, ask, told } = begin();
  const [first, second] = [1, 2].map((last) => agentWith({ agentId: `00000000-0000-4000-8000-00000000000${last}` }));
  fleet.put(first!);
  const counts = () => told().map(({ fields }) => fields["agents"]);
  for (let call = 0; call < 60; call += 1) {
    if (call % 2 === 1) fleet.put(second!);
    else fleet.remove(second!.agentId);
    await ask({});
    await ports.advance(1_000);
  }
  expect(counts()).toEqual([1, 2, 1, 2, 1]);
  fleet.put(second!);
  await ask({});
  expect(told()[5]?.fields).toMatchObject({ agents: 2, answers_not_told: 55 });
  expect(logger.records).toHaveLength(61);
});

it("R-CAP-4: a question that is asked all the time is remembered, however many others come and go", async () => {
  const { ports, ask, told } = begin();
  for (let other = 0; other < 2_500; other += 1) {
    await ask({ poolName: `pool-${other}` });
    await ask({ poolName: "watched" });
    await ports.advance(10);
  }
  expect(told().filter(({ fields }) => fields["pool_name"] === "watched")).toHaveLength(1);
});

it("R-CAP-4: another question, and another count, is logged though the minute is not over; another page is not", async () => {
  const { fleet, ask, told } = begin();
  const agentOf = (number: number, poolName: string) =>
    fleet.put(agentWith({ agentId: `00000000-0000-4000-8000-00000000000${number}`, poolName }));
  const counts = () => told().map(({ fields }) => [fields["pool_name"], fields["agents"]]);
  agentOf(1, "a");
  agentOf(2, "a");
  await ask({ poolName: "a" });
  await ask({ poolName: "b" });
  await ask({ poolName: "a", pageSize: 1 });
  expect(counts()).toEqual([
    ["a", 2],
    ["b", 0],
  ]);
  agentOf(3, "b");
  await ask({ poolName: "a" });
  await ask({ poolName: "b" });
  await ask({ poolName: "b", labels: { site: "north" } });
  expect(counts().slice(2)).toEqual([
    ["b", 1],
    ["b", 0],
  ]);
});
