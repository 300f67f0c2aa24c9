import { readFileSync } from "node:fs";
import { wire } from "@headroom/client";
import type { DuplexStream, HeadroomError } from "@headroom/rpc";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type Cluster, startCluster } from "../e2e/support/cluster.ts";
import { must } from "../e2e/support/results.ts";
import { failureOf, ownClients } from "./bad-input-grpc.ts";
import { garbage, sendRaw } from "./bad-input-raw.ts";
import { errorOf, restCall } from "./bad-input-rest.ts";

// A bound for a loaded machine; the waits inside have their own, and say what they waited for.
vi.setConfig({ testTimeout: 120_000 });

let cluster: Cluster;
let token: string;
const clients = ownClients();
const pids = new Map<string, number>();

beforeAll(async () => {
  cluster = await startCluster({ label: "bad-ports" });
  token = readFileSync(cluster.tokenFile, "utf8").trim();
  for (const service of [cluster.registry, cluster.orchestrator]) pids.set(service.name, service.pid());
}, 90_000);

afterAll(() => cluster?.stop());

// Whatever was thrown at a port: both services still answer, and nobody was restarted.
afterEach(async () => {
  clients.close();
  expect(must(await cluster.client.fleet.list()).agents).toHaveLength(1);
  expect(must(await cluster.client.queue.status()).registryConnected).toBe(true);
  for (const service of [cluster.registry, cluster.orchestrator]) {
    const page = await restCall({ address: service.httpAddress, verb: "GET", path: "/healthz" });
    expect(page.status).toBe(200);
    expect(service.pid()).toBe(pids.get(service.name));
  }
});

describe("garbage on every port", () => {
  it.each(garbage)("R-SHAPE-5: %s", async (_, bytes) => {
    const addresses = [cluster.registry, cluster.orchestrator].flatMap((one) => [one.grpcAddress, one.httpAddress]);
    await Promise.all(addresses.flatMap((address) => [sendRaw(address, bytes), sendRaw(address, bytes)]));
  });

  it("a frame of bytes that are no message is INVALID_ARGUMENT, for unary calls and streams", async () => {
    const broken = {
      ...wire.CapacityServiceService,
      getAgentCapacity: {
        ...wire.CapacityServiceService.getAgentCapacity,
        requestSerialize: () => Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]),
      },
    };
    const error = await failureOf(
      clients.of(broken, cluster.registry.grpcAddress, {}).getAgentCapacity({ agentId: "" }),
    );
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason: "MALFORMED_MESSAGE" });
    expect(error.message).toContain("GetAgentCapacityRequest");
  });
});

describe("who may call", () => {
  it("no token: UNAUTHENTICATED, where it lies and how to pass it", async () => {
    const plans = clients.of(wire.PlanServiceService, cluster.orchestrator.grpcAddress, {});
    const error = await failureOf(plans.listPlans(wire.ListPlansRequest.create()));
    expect(error).toMatchObject({ code: "UNAUTHENTICATED", reason: "TOKEN_REQUIRED" });
    expect(error.message).toContain(cluster.tokenFile);
    expect(error.message).not.toContain(token);
    const rest = await restCall({ address: cluster.orchestrator.httpAddress, verb: "GET", path: "/api/v1/plans" });
    expect(rest.status).toBe(401);
    expect(errorOf(rest)).toMatchObject({ reason: "TOKEN_REQUIRED" });
    expect(errorOf(rest).message).toContain(cluster.tokenFile);
  });

  it("a wrong token is refused, also where none is needed", async () => {
    const wrong = "0".repeat(token.length);
    const capacity = clients.of(wire.CapacityServiceService, cluster.registry.grpcAddress, { token: wrong });
    const error = await failureOf(capacity.listAvailableCapacity(wire.ListAvailableCapacityRequest.create()));
    expect(error).toMatchObject({ code: "UNAUTHENTICATED", reason: "TOKEN_INVALID" });
    const rest = await restCall({
      address: cluster.orchestrator.httpAddress,
      verb: "POST",
      path: "/api/v1/queue:resume",
      token: wrong,
      body: {},
    });
    expect(rest.status).toBe(401);
    expect(errorOf(rest).reason).toBe("TOKEN_INVALID");
  });

  it.each([
    ["a foreign Host", { host: "attacker.example" }, "FOREIGN_HOST"],
    ["the page of another site", { origin: "http://attacker.example" }, "FOREIGN_ORIGIN"],
  ])("%s is refused, with the token and all", async (_, headers, reason) => {
    for (const { httpAddress } of [cluster.registry, cluster.orchestrator]) {
      const answer = await restCall({ address: httpAddress, verb: "GET", path: "/api/v1/agents", token, headers });
      expect(answer.status).toBe(403);
      expect(errorOf(answer)).toMatchObject({ status: "PERMISSION_DENIED", reason });
      expect(answer.headers["access-control-allow-origin"]).toBeUndefined();
    }
  });
});

describe("HTTP of the wrong kind", () => {
  it("a path that is not there tells those near it", async () => {
    const answer = await restCall({
      address: cluster.registry.httpAddress,
      verb: "GET",
      path: "/api/v1/agent/available-capacity",
    });
    expect(answer.status).toBe(404);
    expect(errorOf(answer)).toMatchObject({ status: "NOT_FOUND", reason: "NO_SUCH_PATH" });
    expect(errorOf(answer).message).toContain("/api/v1/agents/available-capacity");
  });

  it("a wrong method tells the right ones", async () => {
    const answer = await restCall({
      address: cluster.orchestrator.httpAddress,
      verb: "PUT",
      path: "/api/v1/plans",
      token,
      body: {},
    });
    expect(answer.status).toBe(405);
    expect(answer.headers["allow"]).toMatch(/GET.*POST/);
    expect(errorOf(answer).reason).toBe("METHOD_NOT_ALLOWED");
  });

  it.each(["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])(
    "a body that says it is %s is refused",
    async (type) => {
      const answer = await restCall({
        address: cluster.orchestrator.httpAddress,
        verb: "POST",
        path: "/api/v1/plans",
        token,
        body: "{}",
        headers: { "content-type": type },
      });
      expect(answer.status).toBe(415);
      expect(errorOf(answer).message).toContain("application/json");
    },
  );

  it("a body above the limit is refused, and told the limit", async () => {
    const body = Buffer.alloc(17 * 1_048_576, 0x20);
    const answer = await restCall({
      address: cluster.orchestrator.httpAddress,
      verb: "POST",
      path: "/api/v1/plans",
      token,
      body,
    });
    expect(answer.status).toBe(413);
    expect(errorOf(answer)).toMatchObject({ status: "RESOURCE_EXHAUSTED", reason: "BODY_TOO_LARGE" });
    expect(errorOf(answer).message).toMatch(/16777216/);
  });
});

describe("gRPC of the wrong kind", () => {
  it("a message above the limit is refused, and told the limit", async () => {
    const plans = clients.of(wire.PlanServiceService, cluster.orchestrator.grpcAddress, {
      token,
      maxMessageBytes: 64 * 1_048_576,
    });
    const argv = Array.from({ length: 170 }, () => "x".repeat(100_000));
    const error = await failureOf(
      plans.dispatchPlan(
        wire.DispatchPlanRequest.fromPartial({ plan: { name: "huge", tasks: [{ name: "huge", command: { argv } }] } }),
      ),
    );
    expect(error.code).toBe("RESOURCE_EXHAUSTED");
    expect(error.message).toMatch(/16777216|16 MiB/);
  });

  it("a method that is not there is UNIMPLEMENTED", async () => {
    const other = {
      getAgentCapacity: {
        ...wire.CapacityServiceService.getAgentCapacity,
        path: "/headroom.registry.v1.CapacityService/NoSuchMethod",
      },
    };
    const error = await failureOf(
      clients.of(other, cluster.registry.grpcAddress, { token }).getAgentCapacity({ agentId: "" }),
    );
    expect(error.code).toBe("UNIMPLEMENTED");
  });

  /** How a stream ends that we have opened with this message. */
  function endOf<In, Out>(stream: DuplexStream<In, Out>, first: Out): Promise<HeadroomError | null> {
    return new Promise((resolve) => {
      stream.onMessage(() => undefined);
      stream.onPeerEnd(() => undefined);
      stream.onClose(resolve);
      stream.send(first);
    });
  }

  it("a heartbeat that does not begin with hello: FAILED_PRECONDITION, HELLO_EXPECTED", async () => {
    const agents = clients.of(wire.AgentServiceService, cluster.registry.grpcAddress, { token });
    const error = await endOf(
      agents.heartbeat(),
      wire.HeartbeatRequest.fromPartial({ message: { $case: "beat", value: { seq: 1 } } }),
    );
    expect(error).toMatchObject({ code: "FAILED_PRECONDITION", reason: "HELLO_EXPECTED" });
  });

  it("a work stream that does not begin with hello: FAILED_PRECONDITION, HELLO_EXPECTED", async () => {
    const work = clients.of(wire.WorkServiceService, cluster.orchestrator.grpcAddress, { token });
    const error = await endOf(
      work.attach(),
      wire.AttachRequest.fromPartial({ message: { $case: "renew", value: {} } }),
    );
    expect(error).toMatchObject({ code: "FAILED_PRECONDITION", reason: "HELLO_EXPECTED" });
  });

  it("a heartbeat whose hello breaks the rules names the field", async () => {
    const agents = clients.of(wire.AgentServiceService, cluster.registry.grpcAddress, { token });
    const error = await endOf(
      agents.heartbeat(),
      wire.HeartbeatRequest.fromPartial({
        message: { $case: "hello", value: { agentId: "desk-7", incarnation: "00000000-0000-4000-8000-000000000000" } },
      }),
    );
    expect(error?.code).toBe("INVALID_ARGUMENT");
    expect(error?.fieldViolations.map(({ field }) => field)).toContain("hello.agent_id");
  });

  it("R-CAP-4: a sample of impossible figures is refused and changes nothing", async () => {
    const agents = clients.of(wire.AgentServiceService, cluster.registry.grpcAddress, { token });
    const before = must(await cluster.client.fleet.list()).totalSize;
    const error = await endOf(
      agents.heartbeat(),
      wire.HeartbeatRequest.fromPartial({
        message: {
          $case: "hello",
          value: {
            agentId: "00000000-0000-4000-8000-0000000000bb",
            incarnation: "00000000-0000-4000-8000-0000000000cc",
            agentType: wire.AgentType.AGENT_TYPE_DESKTOP,
            sample: { cpuLoad: Number.NaN, cpuMillicores: { total: -5, available: 1 } },
          },
        },
      }),
    );
    expect(error?.code).toBe("INVALID_ARGUMENT");
    const fields = error?.fieldViolations.map(({ field }) => field);
    expect(fields).toEqual(expect.arrayContaining(["hello.sample.cpu_load", "hello.sample.cpu_millicores.total"]));
    expect(must(await cluster.client.fleet.list()).totalSize).toBe(before);
  });
});
