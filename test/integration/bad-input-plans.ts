import { type PlanInput, wire } from "@headroom/client";
import { type BadCase, type GrpcCall, nobody, post, type RestRequest, wrongField } from "./bad-input-cases.ts";

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

/** A task that is in order, in JSON. */
export const jsonTask = (change: object = {}): object => ({ name: "one", command: { argv: ["true"] }, ...change });
/** A plan of these tasks, over REST. */
export const dispatchingJson = (...tasks: object[]): RestRequest =>
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
  wrongField("a wait_timeout of nothing", "plan.tasks[0].wait_timeout", /greater|more|above|> 0/, {
    grpc: dispatching({ tasks: [task({ waitTimeout: { seconds: 0, nanos: 0 } })] }),
    rest: dispatchingJson(jsonTask({ wait_timeout: "0s" })),
  }),
];
