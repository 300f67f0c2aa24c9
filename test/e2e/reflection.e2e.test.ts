import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { credentials, Metadata, type ServiceClientConstructor } from "@grpc/grpc-js";
import { loadPackageDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { checkoutDir } from "./support/built-command.ts";
import { type Cluster, startCluster } from "./support/cluster.ts";
import { must } from "./support/results.ts";

// A bound for a loaded machine; the waits inside have their own, and say what they waited for.
vi.setConfig({ testTimeout: 120_000 });

const buf = join(dirname(createRequire(import.meta.url).resolve("@bufbuild/buf/package.json")), "bin/buf");

let cluster: Cluster;
let agentId: string;
let token: string;

beforeAll(async () => {
  cluster = await startCluster({
    label: "reflection",
    agents: [{ cpuCores: 2, memoryGb: 4, env: { HEADROOM_AGENT_LABELS: "rack=a1" } }],
  });
  agentId = must(await cluster.client.fleet.list()).agents[0]!.agentId;
  token = readFileSync(cluster.tokenFile, "utf8").trim();
}, 90_000);

afterAll(() => cluster?.stop());

/** Runs `buf curl` as an engineer would; resolves with what it printed. */
function curl(address: string, path: string, args: readonly string[]): Promise<string> {
  const all = [buf, "curl", "--protocol", "grpc", "--http2-prior-knowledge", ...args, `http://${address}${path}`];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, all, { timeout: 60_000 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`buf curl ${args.join(" ")} ${path}: ${stderr}`));
    });
  });
}

const services = {
  registry: ["AgentService", "CapacityService", "FleetService"].map((name) => `headroom.registry.v1.${name}`),
  orchestrator: ["PlanService", "PauseQueueService", "WorkService"].map((name) => `headroom.orchestrator.v1.${name}`),
} as const;

describe("R-SHAPE-5: the running services, seen by an engineer with a reflection client", () => {
  it.each(["registry", "orchestrator"] as const)(
    "%s lists its services, health and both reflections among them",
    async (part) => {
      const { grpcAddress } = cluster[part];
      for (const protocol of ["grpc-v1", "grpc-v1alpha"]) {
        const listed = await curl(grpcAddress, "", ["--list-services", "--reflect-protocol", protocol]);
        for (const name of [...services[part], "grpc.health.v1.Health"]) expect(listed).toContain(name);
      }
      const methods = await curl(grpcAddress, "", ["--list-methods"]);
      expect(methods).toContain(part === "registry" ? "CapacityService/GetAgentCapacity" : "PlanService/DispatchPlan");
    },
  );

  it("registry: one call with snake_case JSON; a Timestamp and a map resolve", async () => {
    const path = "/headroom.registry.v1.CapacityService/GetAgentCapacity";
    const printed = await curl(cluster.registry.grpcAddress, path, ["-d", JSON.stringify({ agent_id: agentId })]);
    // Printed by buf in proto JSON, whose names are camelCase.
    const answer = JSON.parse(printed) as Record<string, unknown>;
    expect(answer).toMatchObject({ agentId, cpuCoresPhysical: 2, memoryTotalGb: 4, labels: { rack: "a1" } });
    expect(String(answer["timestamp"])).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$/);
  });

  it("orchestrator: one call with snake_case JSON and the token; a map in the request resolves", async () => {
    const path = "/headroom.orchestrator.v1.PlanService/DispatchPlan";
    const plan = {
      name: "by-curl",
      labels: { from: "buf" },
      tasks: [{ name: "one", command: { argv: ["true"] }, depends_on: [] }],
    };
    const printed = await curl(cluster.orchestrator.grpcAddress, path, [
      "-H",
      `authorization: Bearer ${token}`,
      "-d",
      JSON.stringify({ plan }),
    ]);
    const { planId } = JSON.parse(printed) as { planId: string };
    const ended = await cluster.planEnd(planId);
    expect(ended.labels).toEqual({ from: "buf" });
  });

  it("orchestrator: a call that needs no token, with a Duration in its answer", async () => {
    const path = "/headroom.orchestrator.v1.PauseQueueService/GetQueueStatus";
    const answer = JSON.parse(await curl(cluster.orchestrator.grpcAddress, path, ["-d", "{}"])) as Record<
      string,
      unknown
    >;
    expect(answer).toMatchObject({ pollingInterval: "10s", registryConnected: true, threshold: 0.2 });
  });
});

/** A service of the .proto files, loaded at run time and with none of our generated code. */
function loaded(file: string, path: readonly string[]): ServiceClientConstructor {
  const definition = loadSync(join(checkoutDir, "proto", file), {
    includeDirs: [join(checkoutDir, "proto"), join(checkoutDir, "proto-deps")],
    keepCase: true,
    defaults: true,
    enums: String,
    longs: Number,
  });
  let found: unknown = loadPackageDefinition(definition);
  for (const name of path) found = Reflect.get(Object(found), name);
  // loadPackageDefinition cannot know its own type; a wrong path fails the call that follows.
  return found as ServiceClientConstructor;
}

/** One unary call of a client whose methods are known only by name. */
function call(
  Service: ServiceClientConstructor,
  address: string,
  method: string,
  request: object,
): Promise<Record<string, unknown>> {
  const client = new Service(address, credentials.createInsecure());
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${token}`);
  return new Promise<Record<string, unknown>>((resolve, reject) => {
    const invoke: unknown = client[method];
    if (typeof invoke !== "function") throw new Error(`no method ${method}`);
    invoke.call(
      client,
      request,
      metadata,
      { deadline: Date.now() + 20_000 },
      (error: Error | null, answer: Record<string, unknown>) => {
        if (error === null) resolve(answer);
        else reject(error);
      },
    );
  }).finally(() => client.close());
}

describe("R-SHAPE-3: the running services through proto-loader", () => {
  it("registry: GetAgentCapacity in the names of the .proto", async () => {
    const Capacity = loaded("headroom/registry/v1/capacity_service.proto", [
      "headroom",
      "registry",
      "v1",
      "CapacityService",
    ]);
    const answer = await call(Capacity, cluster.registry.grpcAddress, "GetAgentCapacity", { agent_id: agentId });
    expect(answer).toMatchObject({
      agent_id: agentId,
      status: "AGENT_STATUS_ONLINE",
      cpu_cores_physical: 2,
      labels: { rack: "a1" },
    });
    expect(Number(Reflect.get(Object(answer["timestamp"]), "seconds"))).toBeGreaterThan(1_700_000_000);
  });

  it("orchestrator: ListPlans in the names of the .proto", async () => {
    const Plans = loaded("headroom/orchestrator/v1/plan_service.proto", [
      "headroom",
      "orchestrator",
      "v1",
      "PlanService",
    ]);
    const answer = await call(Plans, cluster.orchestrator.grpcAddress, "ListPlans", { page_size: 10 });
    expect(answer).toMatchObject({ next_page_token: "" });
    expect(Array.isArray(answer["plans"])).toBe(true);
  });
});
