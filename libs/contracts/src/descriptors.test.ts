import { describe, expect, it } from "vitest";
import { descriptorRegistry, methodContracts, methodOptions } from "./descriptors.ts";
import * as wire from "./gen/index.ts";

describe("descriptors", () => {
  it("R-CAP-6: know the REST paths, access and idempotency of a method", () => {
    expect(methodOptions("headroom.registry.v1.CapacityService/GetAgentCapacity")).toEqual({
      fullName: "headroom.registry.v1.CapacityService/GetAgentCapacity",
      service: "headroom.registry.v1.CapacityService",
      name: "GetAgentCapacity",
      streaming: "unary",
      access: "open",
      idempotency: "no_side_effects",
      http: [{ verb: "GET", path: "/api/v1/agents/{agent_id}/capacity", body: "" }],
      requestType: "headroom.registry.v1.GetAgentCapacityRequest",
      responseType: "headroom.registry.v1.GetAgentCapacityResponse",
    });
    expect(methodOptions("headroom.registry.v1.CapacityService/ListAvailableCapacity")?.http[0]?.path).toBe(
      "/api/v1/agents/available-capacity",
    );
    expect(methodOptions("headroom.registry.v1.FleetService/CordonAgent")).toMatchObject({
      access: "operator",
      idempotency: "idempotent",
      http: [{ verb: "POST", path: "/api/v1/agents/{agent_id}:cordon", body: "*" }],
    });
    expect(methodOptions("headroom.registry.v1.AgentService/Heartbeat")).toMatchObject({
      streaming: "duplex",
      access: "agent",
      idempotency: "unknown",
      http: [],
    });
    expect(methodOptions("headroom.registry.v1.CapacityService/WatchCapacity")?.streaming).toBe("server_stream");
    expect(methodOptions("grpc.health.v1.Health/Check")?.access).toBe("open");
    expect(methodOptions("headroom.registry.v1.CapacityService/Nope")).toBeUndefined();
  });

  it("state an access for every method of ours, so that none is locked or opened by mistake", () => {
    const option = descriptorRegistry().getExtension("headroom.common.v1.access");
    expect(option).toBeDefined();
    const open = [...methodContracts().values()].filter(({ access }) => access === "open").map(({ name }) => name);
    for (const secret of ["DispatchPlan", "GetTask", "StreamTaskLogs", "ListPlans", "CordonAgent", "Attach"]) {
      expect(open).not.toContain(secret);
    }
  });

  it("R-SHAPE-2: agree with the generated services", () => {
    const services: readonly Readonly<Record<string, { readonly path: string }>>[] = [
      wire.CapacityServiceService,
      wire.FleetServiceService,
      wire.AgentServiceService,
      wire.PlanServiceService,
      wire.PauseQueueServiceService,
      wire.WorkServiceService,
    ];
    const generated = services.flatMap((service) => Object.values(service).map(({ path }) => path.slice(1)));
    const ours = [...methodContracts().keys()].filter((name) => name.startsWith("headroom."));
    expect(ours.toSorted()).toEqual(generated.toSorted());
  });
});
