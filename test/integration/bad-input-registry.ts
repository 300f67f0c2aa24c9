import { wire } from "@headroom/client";
import { type BadCase, get, type GrpcCall, nobody, notThere, post, wrongField } from "./bad-input-cases.ts";

const list = (
  constraints: Partial<wire.ListAvailableCapacityRequest>,
  query: string,
): Pick<BadCase, "grpc" | "rest"> => ({
  grpc: ({ capacity }) => capacity.listAvailableCapacity(wire.ListAvailableCapacityRequest.fromPartial(constraints)),
  rest: get("registry", `/api/v1/agents/available-capacity?${query}`),
});

type Needs = Partial<wire.ResourceNeeds>;

const reserve = (change: { attemptId?: string; fence?: number; needs?: Needs }) => ({
  attemptId: nobody,
  fence: 1,
  needs: { cpuCores: 1 },
  ...change,
});

const reserving =
  (...reservations: ReturnType<typeof reserve>[]): GrpcCall =>
  ({ capacity }) =>
    capacity.reserveCapacity(wire.ReserveCapacityRequest.fromPartial({ reservations }));

export const registryCases: readonly BadCase[] = [
  notThere("R-CAP-2: capacity of an unknown agent", /^AGENT_NOT_FOUND$/, {
    grpc: ({ capacity }) => capacity.getAgentCapacity({ agentId: nobody }),
    rest: get("registry", `/api/v1/agents/${nobody}/capacity`),
  }),
  wrongField("R-CAP-2: an agent id that is no UUID", "agent_id", /uuid/i, {
    grpc: ({ capacity }) => capacity.getAgentCapacity({ agentId: "agent-1" }),
    rest: get("registry", "/api/v1/agents/agent-1/capacity"),
  }),
  notThere("an unknown agent in the fleet", /^AGENT_NOT_FOUND$/, {
    grpc: ({ fleet }) => fleet.getAgent({ agentId: nobody }),
    rest: get("registry", `/api/v1/agents/${nobody}`),
  }),
  notThere("an unknown agent to cordon", /^AGENT_NOT_FOUND$/, {
    grpc: ({ fleet }) => fleet.cordonAgent({ agentId: nobody, reason: "" }),
    rest: post("registry", `/api/v1/agents/${nobody}:cordon`, {}),
  }),
  wrongField("a drain that ends in the next age of the earth", "deadline", /31536000|365|8760/, {
    grpc: ({ fleet }) => fleet.drainAgent({ agentId: nobody, deadline: { seconds: 2 ** 60, nanos: 0 }, reason: "" }),
    rest: post("registry", `/api/v1/agents/${nobody}:drain`, { deadline: "315576000000s" }),
  }),
  wrongField("R-CAP-4: less than no VRAM", "min_gpu_vram_gb", /0/, list({ minGpuVramGb: -1 }, "min_gpu_vram_gb=-1")),
  wrongField(
    "R-CAP-4: not a number of VRAM",
    "min_gpu_vram_gb",
    /finite|number/,
    list({ minGpuVramGb: Number.NaN }, "min_gpu_vram_gb=NaN"),
  ),
  wrongField("R-CAP-4: fewer than one core", "min_cpu_cores", /1/, list({ minCpuCores: 0.5 }, "min_cpu_cores=0.5")),
  wrongField(
    "an absurd number of cores",
    "min_cpu_cores",
    /1048576/,
    list({ minCpuCores: 1e300 }, "min_cpu_cores=1e300"),
  ),
  wrongField(
    "infinitely much memory",
    "min_memory_gb",
    /finite|number/,
    list({ minMemoryGb: Number.POSITIVE_INFINITY }, "min_memory_gb=Infinity"),
  ),
  wrongField("too many rows at once", "page_size", /1000/, list({ pageSize: 5_000 }, "page_size=5000")),
  wrongField(
    "a page token of somebody else",
    "page_token",
    /token/,
    list({ pageToken: "not-a-token" }, "page_token=not-a-token"),
  ),
  wrongField(
    "an order by what is not there",
    "order_by",
    /cpu_cores_available|order/,
    list({ orderBy: "colour desc" }, "order_by=colour%20desc"),
  ),
  wrongField("no reservation at all", "reservations", /1/, {
    grpc: reserving(),
    rest: post("registry", "/api/v1/reservations:reserve", { reservations: [] }),
  }),
  wrongField("a reservation with fence 0", "reservations[0].fence", /1/, {
    grpc: reserving(reserve({ fence: 0 })),
    rest: post("registry", "/api/v1/reservations:reserve", {
      reservations: [{ attempt_id: nobody, fence: 0, needs: {} }],
    }),
  }),
  wrongField("a reservation for fewer cores than none", "reservations[1].needs.cpu_cores", /0/, {
    grpc: reserving(reserve({}), reserve({ needs: { cpuCores: -4 } })),
    rest: post("registry", "/api/v1/reservations:reserve", {
      reservations: [
        { attempt_id: nobody, fence: 1, needs: {} },
        { attempt_id: nobody, fence: 1, needs: { cpu_cores: -4 } },
      ],
    }),
  }),
  wrongField("needs that no machine has ever met", "needs.gpu_vram_gb", /4096/, {
    grpc: ({ capacity }) =>
      capacity.explainCapacity({ needs: wire.ResourceNeeds.fromPartial({ gpuVramGb: 1e12 }), maxAgents: 0 }),
    rest: post("registry", "/api/v1/capacity:explain", { needs: { gpu_vram_gb: 1e12 } }),
  }),
];
