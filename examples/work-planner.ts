// A WorkPlanner: asks where there is room, sends its task to the agent with the most free VRAM (or, where a CPU will do, to the
// one with the most free cores), or learns that none fits and marks the task as pending_capacity.
//
//   node examples/run.mjs work-planner                  a CPU will do when there is no card
//   node examples/run.mjs work-planner --vram 8 --gpu-only
import { parseArgs } from "node:util";
import { createHeadroomClient, type HeadroomClient, type NeedsInput, type Result, wire } from "@headroom/client";

const { values: options } = parseArgs({
  options: { vram: { type: "string", default: "8" }, "gpu-only": { type: "boolean", default: false } },
});
const vramGb = Number(options.vram);

type Route =
  | { readonly kind: "agent"; readonly agent: wire.AgentCapacity; readonly needs: NeedsInput }
  | { readonly kind: "pending_capacity"; readonly why: string };

/** The agent to use, judged by what is free right now. Headroom checks again when it reserves, so a race costs a wait and no more. */
async function chooseAgent(headroom: HeadroomClient): Promise<Route> {
  const gpuNeeds: NeedsInput = { cpuCores: 0.5, gpuVramGb: vramGb };
  const withCard = valueOf(
    await headroom.capacity.listAvailable({
      minGpuVramPerCardGb: vramGb,
      minGpuCount: 1,
      orderBy: "gpu_vram_available_gb desc",
    }),
  ).agents[0];
  if (withCard !== undefined) return { kind: "agent", agent: withCard, needs: gpuNeeds };

  if (!options["gpu-only"]) {
    const withCores = valueOf(await headroom.capacity.listAvailable({ orderBy: "cpu_cores_available desc" })).agents[0];
    if (withCores !== undefined) return { kind: "agent", agent: withCores, needs: { cpuCores: 1 } };
  }
  const { explanation } = valueOf(await headroom.capacity.explain(options["gpu-only"] ? gpuNeeds : { cpuCores: 1 }));
  return { kind: "pending_capacity", why: explanation?.sentence ?? "no agent fits" };
}

/** Hands the task over, bound to the chosen agent, and follows it to its end. */
async function runOn(headroom: HeadroomClient, agent: wire.AgentCapacity, needs: NeedsInput): Promise<void> {
  const answer = valueOf(
    await headroom.plans.dispatch({
      name: "work-planner",
      tasks: [
        {
          name: "infer",
          command: { argv: ["node", "-e", "console.log('working on ' + require('os').hostname())"] },
          needs: { ...needs, agentId: agent.agentId },
        },
      ],
    }),
  );
  for await (const item of headroom.plans.watch(answer.planId)) {
    if (item.kind === "item")
      console.log(`  ${item.value.event?.kind ?? ""}  ${item.value.event?.sentence ?? ""}`.trimEnd());
    else console.log(`  ${item.kind}: ${item.error.message}`);
  }
  const plan = valueOf(await headroom.plans.get(answer.planId));
  console.log(plan.status === wire.PlanStatus.PLAN_STATUS_SUCCEEDED ? "done" : "it did not succeed");
  for await (const item of headroom.tasks.logs(plan.tasks[0]?.taskId ?? "")) {
    if (item.kind === "item") process.stdout.write(item.value.data);
  }
}

/** Errors are values; this little program has no better idea than to stop. */
function valueOf<T>(result: Result<T>): T {
  if (result.kind === "ok") return result.value;
  console.error(`work-planner: ${result.error.message} (${result.error.reason})`);
  process.exit(1);
}

const headroom = createHeadroomClient({ userAgent: "work-planner" });
const route = await chooseAgent(headroom);
if (route.kind === "agent") {
  const { hostname, agentId, gpuVramAvailableGb, cpuCoresAvailable } = route.agent;
  console.log(
    `${hostname} (${agentId}) has ${gpuVramAvailableGb.toFixed(1)} GiB of VRAM and ${cpuCoresAvailable.toFixed(1)} cores free`,
  );
  await runOn(headroom, route.agent, route.needs);
} else {
  console.log(`task infer: pending_capacity (${route.why})`);
  process.exitCode = 2;
}
headroom.close();
