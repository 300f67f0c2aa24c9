import { wire } from "@headroom/client";
import { type BadCase, get, nobody, notThere, post, type RestRequest, wrongField } from "./bad-input-cases.ts";
import { dispatchingJson, jsonTask } from "./bad-input-plans.ts";

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
  wrongField("a preview of a plan that is not sound", "plan.tasks[0].depends_on[0]", /no task/, {
    grpc: ({ plans }) =>
      plans.previewPlan({
        plan: wire.WorkPlan.fromPartial({
          name: "p",
          tasks: [{ name: "one", command: { argv: ["true"] }, dependsOn: ["two"] }],
        }),
      }),
    rest: post("orchestrator", "/api/v1/plans:preview", {
      plan: { name: "p", tasks: [jsonTask({ depends_on: ["two"] })] },
    }),
  }),
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
