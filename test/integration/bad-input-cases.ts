import { type PlanInput, wire } from "@headroom/client";
import type { RpcClient, RpcCode } from "@headroom/rpc";

/** The services of a cluster, as programs call them. */
export interface Api {
  readonly capacity: RpcClient<typeof wire.CapacityServiceService>;
  readonly fleet: RpcClient<typeof wire.FleetServiceService>;
  readonly plans: RpcClient<typeof wire.PlanServiceService>;
  readonly queue: RpcClient<typeof wire.PauseQueueServiceService>;
}

export interface RestRequest {
  readonly service: "registry" | "orchestrator";
  readonly verb: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
}

type GrpcCall = (api: Api) => Promise<unknown>;

/** A request that cannot be accepted, on either face, and what has to be answered. */
export interface BadCase {
  readonly name: string;
  readonly grpc?: GrpcCall;
  readonly rest?: RestRequest;
  readonly code: RpcCode;
  readonly reason: RegExp;
  /** The field at fault, as the .proto names it. */
  readonly field?: string;
  /** What the message has to tell, for a person to find the way out. */
  readonly says: RegExp;
}

export const nobody = "00000000-0000-4000-8000-000000000000";

const get = (service: RestRequest["service"], path: string): RestRequest => ({ service, verb: "GET", path });
const post = (service: RestRequest["service"], path: string, body: unknown): RestRequest => ({
  service,
  verb: "POST",
  path,
  body,
});

/** A field that breaks a rule. */
function wrongField(name: string, field: string, says: RegExp, faces: Pick<BadCase, "grpc" | "rest">): BadCase {
  return { name, ...faces, code: "INVALID_ARGUMENT", reason: /^[A-Z][A-Z_]+$/, field, says };
}

/** Something that is not there. */
function notThere(name: string, reason: RegExp, faces: Pick<BadCase, "grpc" | "rest">): BadCase {
  return { name, ...faces, code: "NOT_FOUND", reason, says: new RegExp(nobody) };
}

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

type Task = NonNullable<PlanInput["tasks"]>[number];

const task = (change: Task = {}): Task => ({ name: "one", command: { argv: ["true"] }, ...change });

interface PlanChange {
  readonly name?: string;
  readonly tasks?: readonly Task[];
  readonly requestId?: string;
}

const dispatching =
  ({ name = "bad", tasks = [task()], requestId = "" }: PlanChange): GrpcCall =>
  ({ plans }) =>
    plans.dispatchPlan(wire.DispatchPlanRequest.fromPartial({ requestId, plan: { name, tasks: [...tasks] } }));

const jsonTask = (change: object = {}): object => ({ name: "one", command: { argv: ["true"] }, ...change });
const dispatchingJson = (...tasks: object[]): RestRequest =>
  post("orchestrator", "/api/v1/plans", { plan: { name: "bad", tasks } });

export const planCases: readonly BadCase[] = [
  wrongField("an empty plan", "plan.tasks", /1/, { grpc: dispatching({ tasks: [] }), rest: dispatchingJson() }),
  wrongField("no plan at all", "plan", /required|set/i, {
    grpc: ({ plans }) => plans.dispatchPlan({ requestId: "", plan: undefined, failUnsatisfiable: false }),
    rest: post("orchestrator", "/api/v1/plans", {}),
  }),
  wrongField("a plan without a name", "plan.name", /1/, { grpc: dispatching({ name: "" }) }),
  wrongField("two tasks of one name", "plan.tasks[1].name", /one/, {
    grpc: dispatching({ tasks: [task(), task()] }),
    rest: dispatchingJson(jsonTask(), jsonTask()),
  }),
  wrongField("two tasks of one id", "plan.tasks[1].task_id", /also the id of/, {
    grpc: dispatching({ tasks: [task({ taskId: nobody }), task({ name: "two", taskId: nobody })] }),
    rest: dispatchingJson(jsonTask({ task_id: nobody }), jsonTask({ name: "two", task_id: nobody })),
  }),
  wrongField("a task id that is no UUID", "plan.tasks[0].task_id", /uuid/i, {
    grpc: dispatching({ tasks: [task({ taskId: "task-1" })] }),
    rest: dispatchingJson(jsonTask({ task_id: "task-1" })),
  }),
  wrongField("a task name with a space", "plan.tasks[0].name", /pattern|letters/i, {
    grpc: dispatching({ tasks: [task({ name: "my task" })] }),
    rest: dispatchingJson(jsonTask({ name: "my task" })),
  }),
  wrongField("a task without a command", "plan.tasks[0].command", /required|set/i, {
    grpc: dispatching({ tasks: [{ name: "one" }] }),
    rest: dispatchingJson({ name: "one" }),
  }),
  wrongField("a command without a program", "plan.tasks[0].command.argv", /1/, {
    grpc: dispatching({ tasks: [task({ command: { argv: [] } })] }),
    rest: dispatchingJson(jsonTask({ command: { argv: [] } })),
  }),
  wrongField("a dependency on a task that is not there", "plan.tasks[0].depends_on[0]", /ghost/, {
    grpc: dispatching({ tasks: [task({ dependsOn: ["ghost"] })] }),
    rest: dispatchingJson(jsonTask({ depends_on: ["ghost"] })),
  }),
  wrongField("a task that depends on itself", "plan.tasks[0].depends_on[0]", /itself|cycle|one/, {
    grpc: dispatching({ tasks: [task({ dependsOn: ["one"] })] }),
    rest: dispatchingJson(jsonTask({ depends_on: ["one"] })),
  }),
  {
    name: "a cycle of dependencies, told as a path",
    grpc: dispatching({
      tasks: [
        task({ name: "a", dependsOn: ["c"] }),
        task({ name: "b", dependsOn: ["a"] }),
        task({ name: "c", dependsOn: ["b"] }),
      ],
    }),
    rest: dispatchingJson(
      jsonTask({ name: "a", depends_on: ["c"] }),
      jsonTask({ name: "b", depends_on: ["a"] }),
      jsonTask({ name: "c", depends_on: ["b"] }),
    ),
    code: "INVALID_ARGUMENT",
    reason: /^[A-Z][A-Z_]+$/,
    says: /a.*(->|→|needs|depends|,).*[bc]/,
  },
  wrongField("needs that are not a number", "plan.tasks[0].needs.cpu_cores", /finite|number/, {
    grpc: dispatching({ tasks: [task({ needs: { cpuCores: Number.NaN } })] }),
    rest: dispatchingJson(jsonTask({ needs: { cpu_cores: "NaN" } })),
  }),
  wrongField("needs below nothing", "plan.tasks[0].needs.memory_gb", /0/, {
    grpc: dispatching({ tasks: [task({ needs: { memoryGb: -1 } })] }),
    rest: dispatchingJson(jsonTask({ needs: { memory_gb: -1 } })),
  }),
  wrongField("a run_timeout of nothing", "plan.tasks[0].run_timeout", /0|greater/, {
    grpc: dispatching({ tasks: [task({ runTimeout: { seconds: 0, nanos: 0 } })] }),
    rest: dispatchingJson(jsonTask({ run_timeout: "0s" })),
  }),
  wrongField("more attempts than anyone may have", "plan.tasks[0].max_attempts", /100/, {
    grpc: dispatching({ tasks: [task({ maxAttempts: 1_000 })] }),
    rest: dispatchingJson(jsonTask({ max_attempts: 1_000 })),
  }),
  wrongField("a priority beyond the scale", "plan.tasks[0].priority", /1000/, {
    grpc: dispatching({ tasks: [task({ priority: 5_000 })] }),
    rest: dispatchingJson(jsonTask({ priority: 5_000 })),
  }),
  wrongField("a request_id that is no UUID", "request_id", /uuid/i, {
    grpc: dispatching({ requestId: "again" }),
    rest: post("orchestrator", "/api/v1/plans", { request_id: "again", plan: { name: "bad", tasks: [jsonTask()] } }),
  }),
  wrongField("a plan of more tasks than a plan may have", "plan.tasks", /10000|10,000/, {
    grpc: dispatching({ tasks: Array.from({ length: 10_001 }, (_, n) => task({ name: `t${n}` })) }),
  }),
  {
    name: "a field of the contract that is not built yet",
    grpc: dispatching({ tasks: [task({ gang: "together" })] }),
    rest: dispatchingJson(jsonTask({ gang: "together" })),
    code: "UNIMPLEMENTED",
    reason: /^NOT_BUILT_YET$/,
    says: /gang/,
  },
  {
    name: "a wait_timeout, which is not built yet",
    grpc: dispatching({ tasks: [task({ waitTimeout: { seconds: 60, nanos: 0 } })] }),
    rest: dispatchingJson(jsonTask({ wait_timeout: "60s" })),
    code: "UNIMPLEMENTED",
    reason: /^NOT_BUILT_YET$/,
    says: /wait_timeout/,
  },
];

export const orchestratorCases: readonly BadCase[] = [
  notThere("an unknown plan", /^PLAN_NOT_FOUND$/, {
    grpc: ({ plans }) => plans.getPlan({ planId: nobody }),
    rest: get("orchestrator", `/api/v1/plans/${nobody}`),
  }),
  notThere("an unknown plan to cancel", /^PLAN_NOT_FOUND$/, {
    grpc: ({ plans }) => plans.cancelPlan({ planId: nobody, reason: "" }),
    rest: post("orchestrator", `/api/v1/plans/${nobody}:cancel`, {}),
  }),
  notThere("an unknown plan to watch", /^PLAN_NOT_FOUND$/, {
    grpc: async ({ plans }) => {
      for await (const event of plans.watchPlan({ planId: nobody, afterEventId: 0 })) return event;
      return undefined;
    },
  }),
  notThere("an unknown task", /^TASK_NOT_FOUND$/, {
    grpc: ({ plans }) => plans.getTask({ taskId: nobody }),
    rest: get("orchestrator", `/api/v1/tasks/${nobody}`),
  }),
  notThere("an unknown task to cancel", /^TASK_NOT_FOUND$/, {
    grpc: ({ plans }) => plans.cancelTask({ taskId: nobody, reason: "" }),
    rest: post("orchestrator", `/api/v1/tasks/${nobody}:cancel`, {}),
  }),
  notThere("an unknown task to explain", /^TASK_NOT_FOUND$/, {
    grpc: ({ plans }) => plans.explainTask({ taskId: nobody, maxAgents: 0 }),
    rest: get("orchestrator", `/api/v1/tasks/${nobody}:explain`),
  }),
  notThere("output of an unknown task", /^TASK_NOT_FOUND$/, {
    grpc: async ({ plans }) => {
      for await (const piece of plans.streamTaskLogs({ taskId: nobody, attemptId: "", follow: false })) return piece;
      return undefined;
    },
  }),
  wrongField("a plan id that is no UUID", "plan_id", /uuid/i, {
    grpc: ({ plans }) => plans.getPlan({ planId: "my-plan" }),
    rest: get("orchestrator", "/api/v1/plans/my-plan"),
  }),
  wrongField("plans behind a page token of somebody else", "page_token", /token/, {
    grpc: ({ plans }) => plans.listPlans(wire.ListPlansRequest.fromPartial({ pageToken: "!!!" })),
    rest: get("orchestrator", "/api/v1/plans?page_token=!!!"),
  }),
  wrongField("tasks behind a page token of somebody else", "page_token", /token/, {
    grpc: ({ plans }) => plans.listTasks(wire.ListTasksRequest.fromPartial({ pageToken: "AAAA" })),
    rest: get("orchestrator", "/api/v1/tasks?page_token=AAAA"),
  }),
  wrongField("the queue behind a page token of somebody else", "page_token", /token/, {
    grpc: ({ queue }) => queue.listPausedTasks(wire.ListPausedTasksRequest.fromPartial({ pageToken: "AAAA" })),
    rest: get("orchestrator", "/api/v1/queue/tasks?page_token=AAAA"),
  }),
  wrongField("a check for needs that are not a number", "needs.gpu_vram_gb", /finite|number/, {
    grpc: ({ queue }) => queue.checkCapacity({ needs: wire.ResourceNeeds.fromPartial({ gpuVramGb: Number.NaN }) }),
  }),
  {
    name: "a preview, which is not built yet",
    grpc: ({ plans }) =>
      plans.previewPlan({
        plan: wire.WorkPlan.fromPartial({ name: "p", tasks: [{ name: "one", command: { argv: ["true"] } }] }),
      }),
    rest: post("orchestrator", "/api/v1/plans:preview", { plan: { name: "p", tasks: [jsonTask()] } }),
    code: "UNIMPLEMENTED",
    reason: /^NOT_BUILT_YET$/,
    says: /PreviewPlan|not built yet/,
  },
];

/** JSON has faults of its own. */
export const jsonCases: readonly (BadCase & { readonly rest: RestRequest })[] = [
  {
    ...wrongField("a field that is not there, with those that are", "plan.tasks[0].comand", /command/, {}),
    rest: dispatchingJson({ name: "one", comand: { argv: ["true"] } }),
  },
  {
    ...wrongField("a query parameter that is not there", "min_gpu", /min_gpu_vram_gb/, {}),
    rest: get("registry", "/api/v1/agents/available-capacity?min_gpu=1"),
  },
  {
    ...wrongField("a word that is no state, with those that are", "statuses[0]", /succeeded/, {}),
    rest: get("orchestrator", "/api/v1/plans?statuses=finnished"),
  },
  {
    ...wrongField("a text where a number belongs", "plan.tasks[0].needs.cpu_cores", /number/, {}),
    rest: dispatchingJson(jsonTask({ needs: { cpu_cores: "two" } })),
  },
  {
    ...wrongField("a number of VRAM in words", "min_gpu_vram_gb", /number/, {}),
    rest: get("registry", "/api/v1/agents/available-capacity?min_gpu_vram_gb=lots"),
  },
  {
    ...wrongField("a duration without its unit", "plan.tasks[0].run_timeout", /3s/, {}),
    rest: dispatchingJson(jsonTask({ run_timeout: 90 })),
  },
];
