/** R-CAP-1..5, R-CAP-7..9 and the founding documents' capacity tests, over gRPC on real PostgreSQL. */
import { wire } from "@headroom/contracts";
import { HeadroomError } from "@headroom/rpc";
import { createTestDatabase, type TestDatabase, waitFor } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cardOf, type FakeAgent, machineOf, useOf } from "./support/fake-agent.ts";
import { type RegistryUnderTest, startRegistry } from "./support/harness.ts";

const { AGENT_STATUS_ONLINE, AGENT_STATUS_OFFLINE } = wire.AgentStatus;

async function errorOf(call: Promise<unknown>): Promise<HeadroomError> {
  const outcome = await call.then(
    (value) => value,
    (error: unknown) => error,
  );
  if (!(outcome instanceof HeadroomError)) throw new Error(`expected a HeadroomError, got ${JSON.stringify(outcome)}`);
  return outcome;
}

describe("capacity queries of the founding documents' sample fleet", () => {
  let database: TestDatabase;
  let at: RegistryUnderTest;
  let agents: Record<1 | 2 | 3 | 4, FakeAgent>;

  beforeAll(async () => {
    database = await createTestDatabase({ label: "capacity queries" });
    at = await startRegistry({ databaseUrl: database.connectionString });
    agents = {
      1: await at.join({ hostname: "agent-1", sample: machineOf({ cores: 12, vramGb: 4 }) }),
      2: await at.join({ hostname: "agent-2", sample: machineOf({ cores: 3, vramGb: 2 }) }),
      3: await at.join({ hostname: "agent-3", sample: null }),
      4: await at.join({ hostname: "agent-4", sample: machineOf({ cores: 3 }) }),
    };
    agents[3].goodbye();
    await at.untilStatus(agents[3].agentId, AGENT_STATUS_OFFLINE);
  });
  afterAll(async () => {
    await at?.stop();
    await database?.drop();
  });

  const list = async (request: Partial<wire.ListAvailableCapacityRequest> = {}): Promise<string[]> => {
    const answer = await at.capacity.listAvailableCapacity(wire.ListAvailableCapacityRequest.fromPartial(request));
    return answer.agents.map((agent) => agent.hostname);
  };

  it("R-CAP-1: a valid agent answers with all its figures", async () => {
    const { agentId } = agents[1];
    const capacity = await at.capacity.getAgentCapacity({ agentId });
    expect(capacity).toMatchObject({
      agentId,
      status: AGENT_STATUS_ONLINE,
      cpuCoresAvailable: 12,
      cpuCoresPhysical: 16,
      cpuLoad: 25,
      memoryAvailableGb: 32,
      memoryTotalGb: 64,
      gpuVramAvailableGb: 4,
      gpuVramTotalGb: 24,
      gpuType: "RTX 4090",
      timestamp: { seconds: 1_760_000_000, nanos: 0 },
    });
  });

  it("R-CAP-1: an agent's id is found however it is written", async () => {
    const { agentId } = agents[1];
    expect((await at.capacity.getAgentCapacity({ agentId: agentId.toUpperCase() })).agentId).toBe(agentId);
  });

  it("R-CAP-2: unknown agent answers NOT_FOUND, logged at debug", async () => {
    const agentId = randomUUID();
    const error = await errorOf(at.capacity.getAgentCapacity({ agentId }));
    expect(error).toMatchObject({ code: "NOT_FOUND", reason: "AGENT_NOT_FOUND" });
    expect(at.logger.records).toContainEqual(
      expect.objectContaining({ level: "debug", fields: expect.objectContaining({ agent_id: agentId }) }),
    );
  });

  it("R-CAP-2: what is no UUID answers INVALID_ARGUMENT and names the field", async () => {
    const error = await errorOf(at.capacity.getAgentCapacity({ agentId: "agent-1" }));
    expect(error.code).toBe("INVALID_ARGUMENT");
    expect(error.fieldViolations.map(({ field }) => field)).toEqual(["agent_id"]);
  });

  it("R-CAP-3: an agent without metrics answers with zeros and no timestamp", async () => {
    const capacity = await at.capacity.getAgentCapacity({ agentId: agents[3].agentId });
    expect(capacity).toMatchObject({
      status: AGENT_STATUS_OFFLINE,
      cpuCoresAvailable: 0,
      cpuCoresPhysical: 0,
      cpuLoad: 0,
      memoryAvailableGb: 0,
      memoryTotalGb: 0,
      gpuVramAvailableGb: 0,
      gpuVramTotalGb: 0,
      gpuType: "",
      timestamp: undefined,
    });
  });

  it("R-CAP-3: an online agent without metrics matches no filter", async () => {
    const silent = await at.join({ hostname: "silent", sample: null });
    expect(await list()).not.toContain("silent");
    expect((await silent.beat()).wantFull).toBe(true);
    silent.goodbye();
    await at.untilStatus(silent.agentId, AGENT_STATUS_OFFLINE);
  });

  it("R-CAP-4: the minimal filter lists all online desktops, most free VRAM first", async () => {
    expect(await list()).toEqual(["agent-1", "agent-2", "agent-4"]);
  });

  it("R-CAP-4: VRAM filter", async () => {
    expect(await list({ minGpuVramGb: 3 })).toEqual(["agent-1"]);
    expect(await list({ minGpuVramGb: 2 })).toEqual(["agent-1", "agent-2"]);
    expect(await list({ minGpuVramGb: 4 })).toEqual(["agent-1"]);
  });

  it("R-CAP-4: core filter", async () => {
    expect(await list({ minCpuCores: 4 })).toEqual(["agent-1"]);
    expect(await list({ minCpuCores: 3 })).toEqual(["agent-1", "agent-2", "agent-4"]);
    expect(await list({ minCpuCores: 12.001 })).toEqual([]);
  });

  it("R-CAP-4: both filters must hold", async () => {
    expect(await list({ minGpuVramGb: 2, minCpuCores: 4 })).toEqual(["agent-1"]);
    expect(await list({ minGpuVramGb: 1, minCpuCores: 2 })).toEqual(["agent-1", "agent-2"]);
  });

  it("R-CAP-4: no match is an empty list, logged at info with the count", async () => {
    expect(await list({ minGpuVramGb: 100 })).toEqual([]);
    expect(at.logger.records).toContainEqual(
      expect.objectContaining({ level: "info", fields: expect.objectContaining({ agents: 0, min_gpu_vram_gb: 100 }) }),
    );
  });

  it("R-CAP-4: each row says who it is and what it has", async () => {
    const { agents: rows, totalSize } = await at.capacity.listAvailableCapacity(
      wire.ListAvailableCapacityRequest.fromPartial({ minGpuVramGb: 3 }),
    );
    expect(totalSize).toBe(1);
    expect(rows[0]).toMatchObject({
      agentId: agents[1].agentId,
      agentType: wire.AgentType.AGENT_TYPE_DESKTOP,
      poolName: "default",
      status: AGENT_STATUS_ONLINE,
      cpuCoresAvailable: 12,
      gpuVramAvailableGb: 4,
    });
  });

  it.each([
    ["minGpuVramGb", -1, "min_gpu_vram_gb"],
    ["minGpuVramGb", Number.NaN, "min_gpu_vram_gb"],
    ["minGpuVramGb", Number.POSITIVE_INFINITY, "min_gpu_vram_gb"],
    ["minCpuCores", 0, "min_cpu_cores"],
    ["minCpuCores", 1e300, "min_cpu_cores"],
    ["orderBy", "colour", "order_by"],
    ["pageToken", "nonsense", "page_token"],
  ])("R-CAP-4: %s = %s is refused and named", async (field, value, path) => {
    const error = await errorOf(list({ [field]: value }));
    expect(error.code).toBe("INVALID_ARGUMENT");
    expect(error.fieldViolations.map((violation) => violation.field)).toEqual([path]);
  });

  it("R-CAP-5: agents that are no desktops are never listed", async () => {
    const types = [wire.AgentType.AGENT_TYPE_INFRA, wire.AgentType.AGENT_TYPE_CODE, wire.AgentType.AGENT_TYPE_RESEARCH];
    const others = await Promise.all(types.map((agentType) => at.join({ agentType, hostname: `type-${agentType}` })));
    expect(await list()).toEqual(["agent-1", "agent-2", "agent-4"]);
    for (const other of others) other.goodbye();
    for (const other of others) await at.untilStatus(other.agentId, AGENT_STATUS_OFFLINE);
  });

  it("R-CAP-5: going offline and coming back show in the very next query", async () => {
    const options = { agentId: randomUUID(), hostname: "commuter" };
    const agent = await at.join(options);
    expect(await list()).toContain("commuter");
    agent.goodbye();
    await agent.whenClosed();
    expect(await list()).not.toContain("commuter");
    expect((await at.capacity.getAgentCapacity({ agentId: options.agentId })).status).toBe(AGENT_STATUS_OFFLINE);
    const back = await at.join(options);
    expect(await list()).toContain("commuter");
    back.goodbye();
    await back.whenClosed();
  });

  it("R-CAP-5: cordoned, held and unattached agents are online and say so", async () => {
    const agent = await at.join({ hostname: "aside" });
    const { agentId } = agent;
    await at.fleet.cordonAgent({ agentId, reason: "new disk" });
    expect(await list()).not.toContain("aside");
    expect(await at.capacity.getAgentCapacity({ agentId })).toMatchObject({
      status: AGENT_STATUS_ONLINE,
      cordoned: true,
    });
    await at.fleet.uncordonAgent({ agentId });
    expect(await list()).toContain("aside");
    await agent.beat({ ownerHold: true });
    expect(await list()).not.toContain("aside");
    expect(await at.capacity.getAgentCapacity({ agentId })).toMatchObject({ ownerHold: true, cordoned: false });
    await agent.beat({ attached: false });
    expect(await at.capacity.getAgentCapacity({ agentId })).toMatchObject({ ownerHold: false, attached: false });
    agent.goodbye();
    await agent.whenClosed();
  });

  it("R-CAP-7: single and fleet queries agree, also while room is reserved", async () => {
    const attemptId = randomUUID();
    const needs = wire.ResourceNeeds.fromPartial({ cpuCores: 2, gpuVramGb: 1, agentId: agents[1].agentId });
    await at.capacity.reserveCapacity(
      wire.ReserveCapacityRequest.fromPartial({ reservations: [{ attemptId, fence: 1, needs }] }),
    );
    const fleet = await at.capacity.listAvailableCapacity(wire.ListAvailableCapacityRequest.fromPartial({}));
    for (const row of fleet.agents) {
      const single = await at.capacity.getAgentCapacity({ agentId: row.agentId });
      expect(single).toEqual(wire.GetAgentCapacityResponse.fromPartial(row));
    }
    const first = fleet.agents.find(({ hostname }) => hostname === "agent-1");
    expect(first).toMatchObject({
      cpuCoresAvailable: 10,
      gpuVramAvailableGb: 3,
      measured: { cpuCoresAvailable: 12 },
      reserved: { cpuCores: 2, gpuVramGb: 1, reservations: 1 },
    });
    await at.capacity.releaseCapacity({ attempts: [{ attemptId, fence: 1 }], reason: "test" });
    expect(await at.capacity.getAgentCapacity({ agentId: agents[1].agentId })).toMatchObject({ cpuCoresAvailable: 12 });
  });

  it("R-CAP-8: a WorkPlanner finds the agent with the most free VRAM, or that none fits", async () => {
    const [best] = await list({ orderBy: "gpu_vram_available_gb desc" });
    expect(best).toBe("agent-1");
    const { explanation } = await at.capacity.explainCapacity(
      wire.ExplainCapacityRequest.fromPartial({ needs: { gpuVramGb: 8 } }),
    );
    expect(explanation).toMatchObject({
      verdict: wire.FleetVerdict.FLEET_VERDICT_NOT_NOW,
      agentsJudged: expect.any(Number),
    });
    expect(explanation!.sentence).toContain("4.0 GiB VRAM short on GPU 0");
    const needs = { gpuVramGb: 80, agentId: agents[1].agentId };
    const never = await at.capacity.explainCapacity(wire.ExplainCapacityRequest.fromPartial({ needs }));
    expect(never.explanation!.verdict).toBe(wire.FleetVerdict.FLEET_VERDICT_NEVER);
  });

  it("R-CAP-9: sorts by any figure, both ways", async () => {
    expect(await list({ orderBy: "hostname desc" })).toEqual(["agent-4", "agent-2", "agent-1"]);
    expect(await list({ orderBy: "cpu_cores_available desc" })).toEqual([
      "agent-1",
      ...["agent-2", "agent-4"].toSorted((a, b) => (idOf(a) < idOf(b) ? -1 : 1)),
    ]);
    expect(await list({ orderBy: "gpu_vram_total_gb" })).toEqual([
      "agent-4",
      ...["agent-1", "agent-2"].toSorted((a, b) => (idOf(a) < idOf(b) ? -1 : 1)),
    ]);
  });

  it("R-CAP-9: maxima, models, labels, pools and cards are constraints too", async () => {
    expect(await list({ maxCpuCores: 3 })).toEqual(["agent-2", "agent-4"]);
    expect(await list({ maxGpuVramGb: 2 })).toEqual(["agent-2", "agent-4"]);
    expect(await list({ gpuModels: ["4090"] })).toEqual(["agent-1", "agent-2"]);
    expect(await list({ gpuModels: ["h100"] })).toEqual([]);
    expect(await list({ labels: { site: "north" } })).toEqual([]);
    expect(await list({ poolName: "render" })).toEqual([]);
    const cards = [0, 1].map((index) =>
      cardOf({ cardId: `gpu-${index}`, index, vramAvailableMib: 2_048 * (index + 1) }),
    );
    const sample = { ...machineOf({ cores: 8 }), cards };
    const twin = await at.join({ hostname: "twin", poolName: "render", labels: { site: "north" }, sample });
    expect(await list({ poolName: "render", labels: { site: "north" } })).toEqual(["twin"]);
    expect(await list({ minGpuCount: 2 })).toEqual(["twin"]);
    expect(await list({ minGpuCount: 2, minGpuVramPerCardGb: 3 })).toEqual([]);
    expect(await list({ minGpuVramPerCardGb: 4, poolName: "render" })).toEqual(["twin"]);
    const { pools } = await at.capacity.listPoolCapacity(
      wire.ListPoolCapacityRequest.fromPartial({ poolName: "render" }),
    );
    expect(pools).toEqual([
      expect.objectContaining({
        poolName: "render",
        agentsOnline: 1,
        agentsTotal: 1,
        gpuVramAvailableGb: 6,
        cpuCoresAvailable: 8,
      }),
    ]);
    twin.goodbye();
    await twin.whenClosed();
  });

  it("R-CAP-9: pages hold every agent once, and a token belongs to its question", async () => {
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await at.capacity.listAvailableCapacity(
        wire.ListAvailableCapacityRequest.fromPartial({ pageSize: 1, pageToken, orderBy: "hostname" }),
      );
      expect(page.totalSize).toBe(3);
      seen.push(...page.agents.map(({ hostname }) => hostname));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(seen).toEqual(["agent-1", "agent-2", "agent-4"]);
    const { nextPageToken } = await at.capacity.listAvailableCapacity(
      wire.ListAvailableCapacityRequest.fromPartial({ pageSize: 1 }),
    );
    expect((await errorOf(list({ pageToken: nextPageToken, minGpuVramGb: 1 }))).code).toBe("INVALID_ARGUMENT");
  });

  it("R-CAP-9: says when room is expected, where what runs has an expected end", async () => {
    const attemptId = randomUUID();
    const agent = await at.join({ hostname: "busy", poolName: "busy", sample: machineOf({ cores: 3, totalCores: 3 }) });
    const needs = wire.ResourceNeeds.fromPartial({ cpuCores: 2, pool: "busy" });
    await at.capacity.reserveCapacity(
      wire.ReserveCapacityRequest.fromPartial({
        reservations: [{ attemptId, fence: 1, needs, expectedDuration: { seconds: 600 } }],
      }),
    );
    const answer = await at.capacity.explainCapacity(wire.ExplainCapacityRequest.fromPartial({ needs }));
    expect(answer.explanation!.verdict).toBe(wire.FleetVerdict.FLEET_VERDICT_NOT_NOW);
    expect(answer.expectedAvailableAt!.seconds - Date.now() / 1000).toBeGreaterThan(500);
    expect((await at.capacity.getAgentCapacity({ agentId: agent.agentId })).expectedAvailableAt).toEqual(
      answer.expectedAvailableAt,
    );
    const { agents: listed } = await at.capacity.listAvailableCapacity(
      wire.ListAvailableCapacityRequest.fromPartial({ poolName: "busy" }),
    );
    expect(listed.map(({ expectedAvailableAt }) => expectedAvailableAt)).toEqual([answer.expectedAvailableAt]);
    await agent.beat({ sample: machineOf({ cores: 3, totalCores: 3 }, [useOf(attemptId)]) });
    // It ended early: nothing more is expected, in any answer.
    await agent.beat({ sample: machineOf({ cores: 3, totalCores: 3 }) });
    await waitFor(async () => {
      const now = await at.capacity.getAgentCapacity({ agentId: agent.agentId });
      return now.cpuCoresAvailable === 3 && now.expectedAvailableAt === undefined;
    });
    agent.goodbye();
    await agent.whenClosed();
  });

  it("cores match the database", async () => {
    const rows = await waitFor(async () => {
      const found = await database.sql<{ agent_id: string; cores: number; available: number; vram: number }>(
        `SELECT agent_id, cpu_total_millicores::float / 1000 AS cores, cpu_available_millicores::float / 1000 AS available,
                vram_available_mib::float / 1024 AS vram FROM registry.agent_samples`,
      );
      return [1, 2, 4].every((n) => found.some((row) => row.agent_id === agents[n as 1 | 2 | 4].agentId))
        ? found
        : null;
    });
    for (const n of [1, 2, 4] as const) {
      const row = rows.find((candidate) => candidate.agent_id === agents[n].agentId)!;
      const capacity = await at.capacity.getAgentCapacity({ agentId: agents[n].agentId });
      expect({ cores: row.cores, available: row.available, vram: row.vram }).toEqual({
        cores: capacity.cpuCoresPhysical,
        available: capacity.cpuCoresAvailable,
        vram: capacity.gpuVramAvailableGb,
      });
    }
  });

  function idOf(hostname: string): string {
    return Object.values(agents)[Number(hostname.slice(-1)) - 1]!.agentId;
  }
});
