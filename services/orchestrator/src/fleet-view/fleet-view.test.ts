import { agentCapacityFromWire, type AgentCapacityFigures, wire } from "@headroom/contracts";
import { HeadroomError } from "@headroom/rpc";
import { BoundedQueue, silentLogger } from "@headroom/runtime";
import { manualPorts, waitFor } from "@headroom/testing";
import { describe, expect, it } from "vitest";
import type { FleetChange, RegistryPort } from "../registry/port.ts";
import { createFleetView, type FleetNews } from "./fleet-view.ts";

function agent(agentId: string, agentType: wire.AgentType = wire.AgentType.AGENT_TYPE_DESKTOP): AgentCapacityFigures {
  const read = agentCapacityFromWire(
    wire.AgentCapacity.fromPartial({
      agentId,
      agentType,
      status: wire.AgentStatus.AGENT_STATUS_ONLINE,
      timestamp: { seconds: 1, nanos: 0 },
      cpuCoresPhysical: 4,
      cpuCoresAvailable: 2,
      gpus: [{ cardId: "GPU-uuid", index: 3, vramTotalGb: 8, vramAvailableGb: 8 }],
      gpuVramTotalGb: 8,
      gpuVramAvailableGb: 8,
    }),
  );
  if (read.kind === "invalid") throw new Error(read.description);
  return read.value;
}

const change = (overrides: Partial<FleetChange>): FleetChange => ({
  revision: { instance: "r", counter: 1 },
  snapshot: false,
  agents: [],
  removedAgentIds: [],
  roomAppeared: false,
  ...overrides,
});

describe("fleet view", () => {
  it("R-PAUSE-9: down until the first snapshot, down again when the watch ends, and connected again by itself", async () => {
    const streams: BoundedQueue<FleetChange>[] = [];
    const registry: Pick<RegistryPort, "watch"> = {
      watch(signal) {
        const stream = new BoundedQueue<FleetChange>({ max: 10 });
        signal.addEventListener("abort", () => stream.close());
        streams.push(stream);
        return stream;
      },
    };
    const ports = manualPorts();
    const absent = () => Promise.reject(new Error("not scripted"));
    const fleet = createFleetView({
      registry: { ...registry, reserve: absent, renew: absent, release: absent, explain: absent, withRoom: absent },
      pauseThreshold: 0.2,
      ports,
      logger: silentLogger,
    });
    const news: FleetNews["kind"][] = [];
    fleet.onNews((one) => news.push(one.kind));
    expect(fleet.snapshot().kind).toBe("down");
    await fleet.start();
    streams[0]?.push(
      change({ snapshot: true, agents: [agent("one"), agent("infra", wire.AgentType.AGENT_TYPE_INFRA)] }),
    );
    await waitFor(() => fleet.snapshot().kind === "up");
    const up = fleet.snapshot();
    expect(up.kind === "up" && up.gateAgents().map(({ agentId }) => agentId)).toEqual(["one"]);
    expect(fleet.cardIndex("one", "GPU-uuid")).toBe(3);
    expect(fleet.cardIndex("one", "gpu-2")).toBe(2);
    expect(fleet.cardIndex("one", "other")).toBeNull();

    streams[0]?.push(change({ agents: [agent("two")], removedAgentIds: ["one"], roomAppeared: true }));
    await waitFor(() => news.includes("room_appeared"));
    streams[0]?.close(new Error("connection lost"));
    await waitFor(() => news.includes("disconnected"));
    expect(fleet.snapshot()).toMatchObject({ kind: "down", sentence: expect.stringContaining("connection lost") });
    await waitFor(async () => {
      await ports.advance(1_000);
      return streams.length === 2;
    });
    streams[1]?.push(change({ snapshot: true, agents: [agent("two")] }));
    await waitFor(() => news.filter((one) => one === "connected").length === 2);
    await fleet.stop();
    await fleet.stop();
  });

  it("R-PAUSE-9: asks about once a second for as long as a registry process says that it cannot serve, less often where none answers", async () => {
    const ports = manualPorts();
    let tries = 0;
    let answer: Error = new Error("nothing answers");
    const absent = () => Promise.reject(new Error("not scripted"));
    const fleet = createFleetView({
      registry: {
        async *watch() {
          tries += 1;
          yield await Promise.reject(answer);
        },
        reserve: absent,
        renew: absent,
        release: absent,
        explain: absent,
        withRoom: absent,
      },
      pauseThreshold: 0.2,
      ports,
      logger: silentLogger,
    });
    const triesWithin = async (ms: number): Promise<number> => {
      const before = tries;
      await ports.advance(ms);
      return tries - before;
    };
    await fleet.start();
    await ports.advance(20_000);
    expect(await triesWithin(60_000)).toBeLessThanOrEqual(16);
    answer = new HeadroomError({ code: "UNAVAILABLE", reason: "DATABASE_UNAVAILABLE", message: "it is cut off" });
    await ports.advance(10_000);
    const often = await triesWithin(60_000);
    expect(often).toBeGreaterThanOrEqual(45);
    expect(often).toBeLessThanOrEqual(80);
    expect(fleet.snapshot()).toMatchObject({ kind: "down", sentence: expect.stringContaining("it is cut off") });
    // It would tell of the room on its own agents, and refuse all of it.
    await expect(fleet.refresh()).rejects.toBe(answer);
    await fleet.stop();
  });

  it("DESIGN-5: knows the agents that it asks for while the watch tells nothing, until the watch speaks", async () => {
    const stream = new BoundedQueue<FleetChange>({ max: 10 });
    const absent = () => Promise.reject(new Error("not scripted"));
    let answers = (): Promise<readonly AgentCapacityFigures[]> => Promise.resolve([agent("asked")]);
    const fleet = createFleetView({
      registry: {
        watch: () => stream,
        withRoom: () => answers(),
        reserve: absent,
        renew: absent,
        release: absent,
        explain: absent,
      },
      pauseThreshold: 0.2,
      ports: manualPorts(),
      logger: silentLogger,
    });
    const news: FleetNews["kind"][] = [];
    fleet.onNews((one) => news.push(one.kind));
    const known = (): readonly string[] => {
      const snapshot = fleet.snapshot();
      return snapshot.kind === "up" ? snapshot.gateAgents().map(({ agentId }) => agentId) : [];
    };
    await fleet.start();
    await fleet.refresh();
    expect(known()).toEqual(["asked"]);
    expect(news).toEqual([]);

    stream.push(change({ snapshot: true, agents: [agent("watched")] }));
    await waitFor(() => news.includes("connected"));
    expect(known()).toEqual(["watched"]);
    // An answer that the watch has overtaken is not taken.
    answers = () => {
      stream.push(change({ revision: { instance: "r", counter: 2 }, removedAgentIds: ["watched"] }));
      return waitFor(() => known().length === 0).then(() => [agent("watched")]);
    };
    await fleet.refresh();
    expect(known()).toEqual([]);
    stream.close();
    await fleet.stop();
  });
});
