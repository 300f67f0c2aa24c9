/** R-CAP-6: the REST face of the registry, through real sockets. */
import { createTestDatabase, type TestDatabase } from "@headroom/testing";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FakeAgent, machineOf } from "./support/fake-agent.ts";
import { type RegistryUnderTest, startRegistry } from "./support/harness.ts";

interface Row {
  readonly agent_id: string;
  readonly hostname: string;
  readonly status: string;
  readonly [figure: string]: unknown;
}

describe("REST", () => {
  let database: TestDatabase;
  let at: RegistryUnderTest;
  let big: FakeAgent;

  beforeAll(async () => {
    database = await createTestDatabase({ label: "registry rest" });
    at = await startRegistry({ databaseUrl: database.connectionString });
    big = await at.join({ hostname: "big", sample: machineOf({ cores: 12, vramGb: 4 }) });
    await at.join({ hostname: "small", sample: machineOf({ cores: 3, vramGb: 2 }) });
    await at.join({ hostname: "plain", sample: machineOf({ cores: 3 }) });
  });
  afterAll(async () => {
    await at?.stop();
    await database?.drop();
  });

  const get = async (path: string): Promise<{ status: number; body: Record<string, unknown> }> => {
    const response = await fetch(`${at.restUrl}${path}`);
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  it("R-CAP-6: the capacity of one agent, with the same figures as gRPC", async () => {
    const { status, body } = await get(`/api/v1/agents/${big.agentId}/capacity`);
    expect(status).toBe(200);
    const grpc = await at.capacity.getAgentCapacity({ agentId: big.agentId });
    expect(body).toMatchObject({
      agent_id: big.agentId,
      status: "online",
      agent_type: "desktop",
      cpu_cores_available: grpc.cpuCoresAvailable,
      cpu_cores_physical: grpc.cpuCoresPhysical,
      cpu_load: grpc.cpuLoad,
      memory_available_gb: grpc.memoryAvailableGb,
      memory_total_gb: grpc.memoryTotalGb,
      gpu_vram_available_gb: grpc.gpuVramAvailableGb,
      gpu_vram_total_gb: grpc.gpuVramTotalGb,
      gpu_type: "RTX 4090",
    });
  });

  it("R-CAP-6: timestamps are ISO 8601 in UTC", async () => {
    const { body } = await get(`/api/v1/agents/${big.agentId}/capacity`);
    expect(body["timestamp"]).toBe("2025-10-09T08:53:20Z");
  });

  it("R-CAP-6: an unknown agent is 404, what is no UUID 400 and names the field", async () => {
    const unknown = await get(`/api/v1/agents/${randomUUID()}/capacity`);
    expect(unknown).toMatchObject({ status: 404, body: { error: { reason: "AGENT_NOT_FOUND", status: "NOT_FOUND" } } });
    const wrong = await get("/api/v1/agents/agent-1/capacity");
    expect(wrong).toMatchObject({ status: 400, body: { error: { field_violations: [{ field: "agent_id" }] } } });
  });

  it("R-CAP-6: the agents with room, by both minima", async () => {
    const hosts = async (query: string): Promise<string[]> => {
      const { status, body } = await get(`/api/v1/agents/available-capacity${query}`);
      expect(status).toBe(200);
      return (body["agents"] as Row[]).map(({ hostname }) => hostname);
    };
    expect(await hosts("")).toEqual(["big", "small", "plain"]);
    expect(await hosts("?min_gpu_vram_gb=3&min_cpu_cores=4")).toEqual(["big"]);
    expect(await hosts("?min_gpu_vram_gb=2&min_cpu_cores=")).toEqual(["big", "small"]);
    expect(await hosts("?min_gpu_vram_gb=64")).toEqual([]);
  });

  it.each(["min_gpu_vram_gb=-1", "min_cpu_cores=0", "min_gpu_vram_gb=lots"])("R-CAP-6: %s is 400", async (query) => {
    expect((await get(`/api/v1/agents/available-capacity?${query}`)).status).toBe(400);
  });

  it("R-CAP-6: the OpenAPI document names both paths", async () => {
    const { status, body } = await get("/openapi.json");
    expect(status).toBe(200);
    expect(Object.keys(body["paths"] as object)).toEqual(
      expect.arrayContaining(["/api/v1/agents/{agent_id}/capacity", "/api/v1/agents/available-capacity"]),
    );
  });

  it("agents can be listed and cordoned, with the token only", async () => {
    const url = `${at.restUrl}/api/v1/agents/${big.agentId}:cordon`;
    const init = { method: "POST", headers: { "content-type": "application/json" }, body: `{"reason":"new disk"}` };
    expect((await fetch(url, init)).status).toBe(401);
    const headers = { ...init.headers, authorization: `Bearer ${at.token}` };
    const cordoned = await fetch(url, { ...init, headers });
    expect(await cordoned.json()).toMatchObject({ agent: { cordoned: true, cordon_reason: "new disk" } });
    const listed = await get("/api/v1/agents?statuses=online");
    expect((listed.body["agents"] as Row[]).map(({ agent_id }) => agent_id)).toContain(big.agentId);
    await at.fleet.uncordonAgent({ agentId: big.agentId });
  });

  it("/readyz is ready, and /metrics counts agents, VRAM and calls", async () => {
    expect((await fetch(`${at.restUrl}/readyz`)).status).toBe(200);
    const text = await (await fetch(`${at.restUrl}/metrics`)).text();
    expect(text).toContain('headroom_agents{status="online"} 3');
    expect(text).toContain(`headroom_vram_free_bytes ${6 * 1024 ** 3}`);
    expect(text).toContain("rpc_server_call_duration_seconds");
    expect(text).toMatch(/headroom_heartbeat_age_seconds \d/);
  });

  it("drains and confirms losses over REST too", async () => {
    const send = async (path: string, body: object): Promise<Record<string, unknown>> => {
      const response = await fetch(`${at.restUrl}${path}`, {
        method: "POST",
        headers: { "content-type": "application/json", authorization: `Bearer ${at.token}` },
        body: JSON.stringify(body),
      });
      // An object, by the contract.
      return (await response.json()) as Record<string, unknown>;
    };
    const drained = await send(`/api/v1/agents/${big.agentId}:drain`, { deadline: "60s", reason: "disk" });
    expect(drained).toMatchObject({ agent: { cordoned: true, cordon_reason: "disk", draining: true } });
    expect(await send("/api/v1/agents:confirmLosses", {})).toEqual({ agents_held: 0 });
  });

  it("makes, lists and ends join tokens over REST too", async () => {
    const call = async (method: string, path: string, body?: object): Promise<Record<string, unknown>> => {
      const response = await fetch(`${at.restUrl}${path}`, {
        method,
        headers: { "content-type": "application/json", authorization: `Bearer ${at.token}` },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      // An object, by the contract.
      return { status: response.status, ...((await response.json()) as object) };
    };
    const made = await call("POST", "/api/v1/join-tokens", { pool_name: "gpu", ttl: "600s", agent_type: "research" });
    expect(made).toMatchObject({ status: 200, join_token: expect.stringMatching(/^hrj1\./) });
    const path = `/api/v1/join-tokens/${String(made["token_id"])}`;
    expect(await call("DELETE", path, {})).toEqual({ status: 200 });
    const { tokens } = await call("GET", "/api/v1/join-tokens?page_size=1");
    expect(tokens).toMatchObject([
      { token_id: made["token_id"], pool_name: "gpu", agent_type: "research", uses: 0, max_uses: 1, usable: false },
    ]);
    expect(JSON.stringify(tokens)).not.toContain(String(made["join_token"]));
  });
});
