import { wire } from "@headroom/contracts";
import type { CallContext } from "@headroom/rpc";
import { captureLogger, manualPorts } from "@headroom/testing";
import { expect, it } from "vitest";
import { Fleet } from "../fleet/fleet.ts";
import { CapacityIndex } from "../fleet/index/capacity-index.ts";
import type { HandlerDeps } from "./deps.ts";
import { listAvailableCapacity } from "./list-available-capacity.ts";

it("R-CAP-4: an answer is logged at info with the count, the same question once a minute; the next line says how many were not", async () => {
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
  const ask = async (minGpuVramGb: number): Promise<void> => {
    const request = wire.ListAvailableCapacityRequest.fromPartial({ minGpuVramGb });
    await list(request, { logger } as unknown as CallContext);
  };
  for (let call = 0; call < 45; call += 1) {
    await ask(0);
    await ports.advance(1_000);
  }
  const told = () => logger.records.filter(({ level }) => level === "info");
  expect(told()).toHaveLength(1);
  expect(told()[0]).toMatchObject({ message: "0 agents have the capacity asked for", fields: { agents: 0 } });
  expect(logger.records).toHaveLength(45);
  await ask(8);
  expect(told()[1]?.fields).toMatchObject({ agents: 0, min_gpu_vram_gb: 8 });
  await ports.advance(15_000);
  await ask(0);
  expect(told()[2]?.fields).toMatchObject({ agents: 0, answers_not_told: 44 });
});
