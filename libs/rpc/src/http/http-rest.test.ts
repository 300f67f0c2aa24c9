import { wire } from "@headroom/contracts";
import { describe, expect, it } from "vitest";
import { notFound, unavailable } from "../errors.ts";
import { agentId, jsonHeaders, startHttp, withToken } from "./http.test-helper.ts";

const capacity = wire.GetAgentCapacityResponse.fromPartial({
  agentId,
  status: wire.AgentStatus.AGENT_STATUS_ONLINE,
  cpuCoresAvailable: 12.5,
  timestamp: { seconds: 1_700_000_000, nanos: 0 },
});

describe("REST through a real socket", () => {
  it("R-CAP-6: GET /api/v1/agents/{agent_id}/capacity answers with the fields of R-CAP-1", async () => {
    const { ask } = await startHttp({ capacity: { getAgentCapacity: () => Promise.resolve(capacity) } });
    const answer = await ask(`/api/v1/agents/${agentId}/capacity`);
    expect(answer.status).toBe(200);
    expect(answer.headers["content-type"]).toBe("application/json; charset=utf-8");
    expect(answer.headers).not.toHaveProperty("access-control-allow-origin");
    expect(answer.headers).not.toHaveProperty("set-cookie");
    expect(answer.json()).toMatchObject({
      agent_id: agentId,
      status: "online",
      cpu_cores_available: 12.5,
      cpu_cores_physical: 0,
      cpu_load: 0,
      memory_available_gb: 0,
      memory_total_gb: 0,
      gpu_vram_available_gb: 0,
      gpu_vram_total_gb: 0,
      gpu_type: "",
      timestamp: "2023-11-14T22:13:20Z",
    });
  });

  it("R-CAP-2: unknown agent is 404, not a UUID is 400 and names the field", async () => {
    const { ask } = await startHttp({
      capacity: {
        getAgentCapacity: (request) =>
          Promise.reject(notFound("AGENT_NOT_FOUND", `no agent ${request.agentId}`, { agent_id: request.agentId })),
      },
    });
    const unknown = await ask(`/api/v1/agents/${agentId}/capacity`, { headers: { "x-request-id": "req-7" } });
    expect(unknown.status).toBe(404);
    expect(unknown.headers["x-request-id"]).toBe("req-7");
    expect(unknown.error()).toEqual({
      code: 404,
      status: "NOT_FOUND",
      message: `no agent ${agentId}`,
      reason: "AGENT_NOT_FOUND",
      field_violations: [],
      request_id: "req-7",
      metadata: { agent_id: agentId },
    });
    const malformed = await ask("/api/v1/agents/nonsense/capacity");
    expect(malformed.status).toBe(400);
    expect(malformed.error()).toMatchObject({ status: "INVALID_ARGUMENT", field_violations: [{ field: "agent_id" }] });
  });

  it("R-CAP-6: GET available-capacity reads its parameters; an empty one is not given", async () => {
    const asked: wire.ListAvailableCapacityRequest[] = [];
    const { ask } = await startHttp({
      capacity: {
        listAvailableCapacity: (request) => {
          asked.push(request);
          return Promise.resolve(wire.ListAvailableCapacityResponse.fromPartial({ agents: [] }));
        },
      },
    });
    const path = "/api/v1/agents/available-capacity";
    const answer = await ask(`${path}?min_gpu_vram_gb=&min_cpu_cores=`);
    expect(answer.status).toBe(200);
    expect(answer.json()).toEqual({ agents: [], next_page_token: "", total_size: 0 });
    expect(asked[0]).toMatchObject({ minGpuVramGb: 0, minCpuCores: undefined });

    const query = "min_gpu_vram_gb=2.5&min_cpu_cores=3&max_cpu_cores=0&gpu_models=4090&gpu_models=A6000";
    await ask(`${path}?${query}&labels[zone]=attic%20one&labels.os=linux&order_by=cpu_load+desc`);
    expect(asked[1]).toMatchObject({
      minGpuVramGb: 2.5,
      minCpuCores: 3,
      maxCpuCores: 0,
      gpuModels: ["4090", "A6000"],
      labels: { zone: "attic one", os: "linux" },
      orderBy: "cpu_load desc",
    });

    for (const bad of ["min_gpu_vram_gb=-1", "min_cpu_cores=0.5", "min_cpu_cores=NaN", "min_cpu_cores=many"]) {
      const refused = await ask(`${path}?${bad}`);
      expect(refused.status).toBe(400);
      expect(refused.error()["field_violations"]).toMatchObject([{ field: bad.split("=")[0] }]);
    }
    expect(asked).toHaveLength(2);
  });

  it("refuses an unknown query parameter, naming it and the known ones", async () => {
    const { ask } = await startHttp();
    const answer = await ask("/api/v1/agents/available-capacity?min_vram=1&min_cpu_cores=1&min_cpu_cores=2");
    expect(answer.status).toBe(400);
    expect(answer.error()["field_violations"]).toEqual([
      { field: "min_vram", description: expect.stringContaining("there are min_gpu_vram_gb, min_cpu_cores") },
      { field: "min_cpu_cores", description: "is given more than once" },
    ]);
  });

  it("reads nested fields, words of enums and booleans of a query", async () => {
    const checks: wire.CheckCapacityRequest[] = [];
    const lists: wire.ListAgentsRequest[] = [];
    const { ask } = await startHttp({
      queue: {
        checkCapacity: (request) => {
          checks.push(request);
          return Promise.resolve(wire.CheckCapacityResponse.fromPartial({}));
        },
      },
      fleet: {
        listAgents: (request) => {
          lists.push(request);
          return Promise.resolve(wire.ListAgentsResponse.fromPartial({}));
        },
      },
    });
    await ask("/api/v1/capacity:check?needs.gpu_vram_gb=4&needs.labels[a]=b&needs.gpu_exclusive=false");
    expect(checks[0]?.needs).toMatchObject({ gpuVramGb: 4, labels: { a: "b" }, gpuExclusive: false });
    await ask("/api/v1/capacity:check");
    expect(checks[1]?.needs).toBeUndefined();
    const wrong = await ask("/api/v1/capacity:check?needs=4&needs.gpu_exclusive=maybe");
    expect(wrong.error()["field_violations"]).toMatchObject([{ field: "needs" }, { field: "needs.gpu_exclusive" }]);
    await ask("/api/v1/agents?statuses=online&statuses=AGENT_STATUS_SUSPECT&page_size=5");
    expect(lists[0]).toMatchObject({ statuses: [1, 2], pageSize: 5 });
    const asleep = await ask("/api/v1/agents?statuses=asleep");
    expect(asleep.error()["message"]).toContain("online, suspect, offline, unknown");
  });

  it("reads a body, joined with the path", async () => {
    const asked: wire.CordonAgentRequest[] = [];
    const { post } = await startHttp({
      fleet: {
        cordonAgent: (request) => {
          asked.push(request);
          return Promise.resolve(wire.CordonAgentResponse.fromPartial({ agent: { agentId: request.agentId } }));
        },
      },
    });
    const path = `/api/v1/agents/${agentId}:cordon`;
    expect((await post(path, { reason: "updates" })).json()).toMatchObject({ agent: { agent_id: agentId } });
    expect(asked[0]).toEqual({ agentId, reason: "updates" });
    expect((await post(path, { agent_id: agentId })).status).toBe(200);
    const other = await post(path, { agent_id: "5c1a2b3d-1111-4222-8333-444455556666", why: 1 });
    expect(other.status).toBe(400);
    expect(other.error()["field_violations"]).toMatchObject([{ field: "agent_id" }, { field: "why" }]);
    const query = await post(`${path}?reason=x`, {});
    expect(query.error()["field_violations"]).toMatchObject([{ field: "reason" }]);
  });

  it("takes an empty body for an empty object, and a DELETE without one", async () => {
    const { ask } = await startHttp({
      fleet: {
        uncordonAgent: () => Promise.resolve(wire.UncordonAgentResponse.fromPartial({})),
        removeAgent: () => Promise.resolve({}),
      },
    });
    const uncordoned = await ask(`/api/v1/agents/${agentId}:uncordon`, { method: "POST", headers: jsonHeaders });
    expect(uncordoned.status).toBe(200);
    const removed = await ask(`/api/v1/agents/${agentId}`, { method: "DELETE", headers: withToken });
    expect(removed.text).toBe("{}\n");
  });

  it("R-CAP-6: an unknown error is 500 and says nothing of the inside", async () => {
    const { ask } = await startHttp({
      capacity: { getAgentCapacity: () => Promise.reject(new Error("password=hunter2")) },
    });
    const answer = await ask(`/api/v1/agents/${agentId}/capacity`);
    expect(answer.status).toBe(500);
    expect(answer.error()).toMatchObject({ code: 500, status: "INTERNAL", reason: "INTERNAL" });
    expect(answer.text).not.toContain("hunter2");
    expect(answer.error()["message"]).toContain(String(answer.error()["request_id"]));
  });

  it("says when to come back, and what is not built yet", async () => {
    const { ask } = await startHttp({
      capacity: { getAgentCapacity: () => Promise.reject(unavailable("DATABASE_UNAVAILABLE", "wait", 1_200)) },
    });
    const away = await ask(`/api/v1/agents/${agentId}/capacity`);
    expect(away.status).toBe(503);
    expect(away.headers["retry-after"]).toBe("2");
    expect(away.error()).toMatchObject({ status: "UNAVAILABLE", retry_after_ms: 1_200 });
    expect((await ask("/api/v1/pools/capacity")).status).toBe(501);
  });

  it("answers 404 with near paths, 405 with Allow, and HEAD without a body", async () => {
    const { ask } = await startHttp({ capacity: { getAgentCapacity: () => Promise.resolve(capacity) } });
    const typo = await ask("/api/v1/agent/available-capacity");
    expect(typo.status).toBe(404);
    expect(typo.error()).toMatchObject({ reason: "NO_SUCH_PATH" });
    expect(typo.error()["message"]).toContain("/api/v1/agents/available-capacity");
    expect((await ask(`/api/v1/agents/${agentId}:explode`)).status).toBe(404);
    expect((await ask("/api/v1/agents/")).status).toBe(404);
    expect((await ask("/api/v1/agents/%zz/capacity")).status).toBe(400);

    const put = await ask(`/api/v1/agents/${agentId}/capacity`, { method: "PUT", headers: jsonHeaders });
    expect(put.status).toBe(405);
    expect(put.headers["allow"]).toBe("GET, HEAD");
    // What looks like an agent's name is a path of its own.
    const listed = await ask("/api/v1/agents/available-capacity", { method: "DELETE", headers: jsonHeaders });
    expect(listed.status).toBe(405);
    expect((await ask("/metricz", { headers: withToken })).status).toBe(404);

    const head = await ask(`/api/v1/agents/${agentId}/capacity`, { method: "HEAD" });
    expect(head.status).toBe(200);
    expect(head.text).toBe("");
    expect(Number(head.headers["content-length"])).toBeGreaterThan(100);
  });
});
