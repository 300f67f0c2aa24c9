import { execFile } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { wire } from "@headroom/contracts";
import {
  bindService,
  createRpcServer,
  createTokenAuth,
  unimplemented,
  type Implementation,
  type RpcServer,
} from "@headroom/rpc";
import { formatHostPort, silentLogger, systemPorts } from "@headroom/runtime";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

// R-SHAPE-5 with buf's own reflection client: what grpcurl does, from npm.
const buf = join(dirname(createRequire(import.meta.url).resolve("@bufbuild/buf/package.json")), "bin/buf");
const agentId = "0b5c9c9e-6a3b-4b47-8d5f-2d5a2c9d1f00";
const notNeeded = (): Promise<never> => Promise.reject(unimplemented("this part of the test"));

const capacityService: Implementation<typeof wire.CapacityServiceService> = {
  getAgentCapacity: (request) =>
    Promise.resolve(
      wire.GetAgentCapacityResponse.fromPartial({
        agentId: request.agentId,
        cpuCoresAvailable: 2.5,
        timestamp: { seconds: 1_700_000_000, nanos: 500_000_000 },
        labels: { rack: "a1", zone: "north" },
      }),
    ),
  listAvailableCapacity: notNeeded,
  listPoolCapacity: notNeeded,
  watchCapacity: async function* () {
    yield wire.WatchCapacityResponse.fromPartial({});
    yield wire.WatchCapacityResponse.fromPartial({});
  },
  reserveCapacity: notNeeded,
  renewReservations: notNeeded,
  releaseCapacity: notNeeded,
  explainCapacity: notNeeded,
};

let server: RpcServer;
let url: string;

beforeAll(async () => {
  server = createRpcServer({
    name: "registry",
    ports: systemPorts,
    logger: silentLogger,
    listen: { grpc: "127.0.0.1:0" },
    services: [bindService(wire.CapacityServiceService, capacityService)],
    auth: createTokenAuth({ token: "0123456789abcdef", tokenFile: "/data/token" }),
  });
  await server.start();
  if (server.address === null) throw new Error("the server is not up");
  url = `http://${formatHostPort(server.address)}`;
});

afterAll(async () => {
  await server.stop();
});

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function curl(args: readonly string[], path = ""): Promise<Outcome> {
  const all = [buf, "curl", "--protocol", "grpc", "--http2-prior-knowledge", ...args, `${url}${path}`];
  return new Promise((resolve) => {
    execFile(process.execPath, all, { timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
  });
}

describe("R-SHAPE-5: an engineer with a reflection client", () => {
  for (const version of ["grpc-v1", "grpc-v1alpha"]) {
    const reflect = ["--reflect-protocol", version];

    it(`${version}: lists services and methods`, async () => {
      const services = await curl([...reflect, "--list-services"]);
      expect(services.stdout.trim().split("\n").sort()).toEqual([
        "grpc.health.v1.Health",
        "headroom.registry.v1.CapacityService",
      ]);
      const methods = await curl([...reflect, "--list-methods"]);
      expect(methods.stdout).toContain("headroom.registry.v1.CapacityService/GetAgentCapacity");
      expect(methods.stdout).toContain("grpc.health.v1.Health/Check");
    });

    it(`${version}: calls with snake_case JSON; a Timestamp and a map resolve`, async () => {
      const answer = await curl(
        [...reflect, "--data", JSON.stringify({ agent_id: agentId })],
        "/headroom.registry.v1.CapacityService/GetAgentCapacity",
      );
      expect(answer.stderr).toBe("");
      expect(JSON.parse(answer.stdout)).toEqual({
        agentId,
        cpuCoresAvailable: 2.5,
        timestamp: "2023-11-14T22:13:20.500Z",
        labels: { rack: "a1", zone: "north" },
      });
    });
  }

  it("reads a stream and a health check", async () => {
    const watch = await curl(["--data", "{}"], "/headroom.registry.v1.CapacityService/WatchCapacity");
    expect(watch.stdout.match(/\{/g)).toHaveLength(2);
    const check = await curl(["--data", "{}"], "/grpc.health.v1.Health/Check");
    expect(JSON.parse(check.stdout)).toEqual({ status: "SERVING" });
  });

  it("R-CAP-2: sees an error with its details, which name the reason and the field", async () => {
    const answer = await curl(
      ["--data", JSON.stringify({ agent_id: "zz" })],
      "/headroom.registry.v1.CapacityService/GetAgentCapacity",
    );
    expect(answer.code).not.toBe(0);
    const { code, details } = readError(answer.stderr);
    expect(code).toBe("invalid_argument");
    expect(details.map((detail) => detail.type)).toEqual(["google.rpc.ErrorInfo", "google.rpc.BadRequest"]);
    expect(wire.ErrorInfo.decode(valueOf(details[0]))).toMatchObject({
      reason: "INVALID_REQUEST",
      domain: "headroom.dev",
    });
    expect(wire.BadRequest.decode(valueOf(details[1])).fieldViolations).toMatchObject([{ field: "agent_id" }]);
  });

  it("learns where the token lies, and passes it", async () => {
    const path = "/headroom.registry.v1.CapacityService/ReserveCapacity";
    const refused = readError((await curl(["--data", "{}"], path)).stderr);
    expect(refused.code).toBe("unauthenticated");
    expect(refused.message).toContain("/data/token");
    const passed = readError(
      (await curl(["--header", "authorization: Bearer 0123456789abcdef", "--data", "{}"], path)).stderr,
    );
    expect(passed.code).not.toBe("unauthenticated");
  });
});

interface CurlError {
  readonly code: string;
  readonly message: string;
  readonly details: readonly { readonly type: string; readonly value: string }[];
}

function readError(stderr: string): CurlError {
  return JSON.parse(stderr) as CurlError;
}

function valueOf(detail: CurlError["details"][number] | undefined): Buffer {
  return Buffer.from(detail?.value ?? "", "base64");
}
