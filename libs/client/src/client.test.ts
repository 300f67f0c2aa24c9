import { createServer } from "node:net";
import { wire } from "@headroom/contracts";
import { notFound } from "@headroom/rpc";
import { describe, expect, it } from "vitest";
import { createHeadroomClient } from "./client.ts";
import { away, fakeToken } from "./fake-services.test-helper.ts";
import { cleanups, clientOf, planId } from "./client.test-helper.ts";

describe("results", () => {
  it("R-CAP-8: tells where the most VRAM is free", async () => {
    let asked: wire.ListAvailableCapacityRequest | undefined;
    const client = await clientOf({
      capacity: {
        listAvailableCapacity: (request) => {
          asked = request;
          const agents = [wire.AgentCapacity.create({ agentId: "a", gpuVramAvailableGb: 20 })];
          return Promise.resolve(wire.ListAvailableCapacityResponse.create({ agents }));
        },
      },
    });
    const answer = await client.capacity.listAvailable({ minGpuVramGb: 8 });
    expect(asked?.minGpuVramGb).toBe(8);
    expect(answer).toMatchObject({ kind: "ok", value: { agents: [{ agentId: "a", gpuVramAvailableGb: 20 }] } });
  });

  it("R-CAP-2: answers an unknown agent as an error that a program can switch on", async () => {
    const client = await clientOf({
      fleet: { getAgent: ({ agentId }) => Promise.reject(notFound("AGENT_NOT_FOUND", `no agent ${agentId}`)) },
    });
    const answer = await client.fleet.get(planId);
    expect(answer).toMatchObject({
      kind: "error",
      error: { kind: "not_found", code: "NOT_FOUND", reason: "AGENT_NOT_FOUND" },
    });
  });

  it("R-CAP-2: names the field of a request that is not valid", async () => {
    const client = await clientOf({ fleet: { getAgent: () => Promise.reject(away()) } });
    const answer = await client.fleet.get("not-a-uuid");
    expect(answer).toMatchObject({
      kind: "error",
      error: { kind: "invalid", fieldViolations: [{ field: "agent_id" }] },
    });
  });

  it("says how to start a service that does not run", async () => {
    const free = await freePort();
    const client = createHeadroomClient({ registry: `127.0.0.1:${free}`, token: fakeToken }, { env: {} });
    cleanups.push(() => client.close());
    const answer = await client.capacity.listAvailable();
    expect(answer).toMatchObject({ kind: "error", error: { kind: "unavailable" } });
    expect(answer.kind === "error" && answer.error.message).toMatch(/headroom up.*--registry HOST:PORT/);
  });

  it("a closed client answers cancelled", async () => {
    const client = await clientOf({});
    client.close();
    client.close();
    expect(await client.queue.status()).toMatchObject({ kind: "error", error: { kind: "cancelled" } });
  });
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
