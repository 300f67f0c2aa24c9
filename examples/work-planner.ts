// A WorkPlanner: asks where there is room, sends its task to the agent with the most free VRAM (or, where a CPU will do, to the
// one with the most free cores), or learns that none fits and marks the task as pending_capacity.
//
//   node examples/run.mjs work-planner                  a CPU will do when there is no card
//   node examples/run.mjs work-planner --vram 8 --gpu-only
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import {
  createHeadroomClient,
  type HeadroomClient,
  type NeedsInput,
  type PlanInput,
  type Result,
  wire,
} from "@headroom/client";

const { values: options } = parseArgs({
  options: { vram: { type: "string", default: "8" }, "gpu-only": { type: "boolean", default: false } },
});
const vramGb = Number(options.vram);

type Route =
  | { readonly kind: "agent"; readonly agent: wire.AgentCapacity; readonly needs: NeedsInput }
  | { readonly kind: "pending_capacity"; readonly why: string };

/** The agent to use, judged by what is free right now. Headroom checks again when it reserves, so a race costs a wait and no more. */
async function chooseAgent(headroom: HeadroomClient): Promise<Route> {
  // A list of agents asks for a whole core each, or more: what it does not list must not fit either.
  const gpuNeeds: NeedsInput = { cpuCores: 1, gpuVramGb: vramGb };
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
    await dispatchOnce(headroom, {
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

/**
 * A plan whose answer was lost may have been accepted: it is handed over again with the same request id, or all its work would run twice.
 * A planner that can be restarted keeps the id with its own work before it calls.
 */
async function dispatchOnce(
  headroom: HeadroomClient,
  plan: PlanInput,
): ReturnType<HeadroomClient["plans"]["dispatch"]> {
  const requestId = randomUUID();
  for (let tries = 1; ; tries += 1) {
    const answer = await headroom.plans.dispatch(plan, { requestId });
    const isUnknown = answer.kind === "error" && ["unavailable", "timeout", "internal"].includes(answer.error.kind);
    if (!isUnknown || tries === 5) return answer;
    console.log(`not handed over yet: ${answer.error.message}`);
    await setTimeout(answer.error.retryAfterMs ?? 1_000);
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
