/** The example of a WorkPlanner, against services with scripted answers. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { wire } from "@headroom/client";
import { afterEach, expect, it } from "vitest";
import { away, type Fakes, fakeToken, startFakeServices } from "../../libs/client/src/fake-services.test-helper.ts";

const run = promisify(execFile);
const planId = "11111111-1111-4111-8111-111111111111";
const agentId = "22222222-2222-4222-8222-222222222222";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function workPlanner(fakes: Fakes, ...args: string[]): Promise<{ code: number; stdout: string }> {
  const services = await startFakeServices(fakes);
  cleanups.push(() => services.stop());
  return run(process.execPath, ["examples/run.mjs", "work-planner", ...args], {
    env: {
      ...process.env,
      HEADROOM_REGISTRY_ADDR: services.address,
      HEADROOM_ORCHESTRATOR_ADDR: services.address,
      HEADROOM_TOKEN: fakeToken,
    },
  }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    ({ code, stdout }: { code: number; stdout: string }) => ({ code, stdout }),
  );
}

it("R-CAP-8: what is asked about an agent that is not listed is what the list was asked for", async () => {
  let listed: wire.ListAvailableCapacityRequest | undefined;
  let explained: wire.ExplainCapacityRequest | undefined;
  const outcome = await workPlanner(
    {
      capacity: {
        listAvailableCapacity: (request) => {
          listed = request;
          return Promise.resolve(wire.ListAvailableCapacityResponse.create());
        },
        explainCapacity: (request) => {
          explained = request;
          const explanation = wire.CapacityExplanation.fromPartial({ sentence: "No room now." });
          return Promise.resolve(wire.ExplainCapacityResponse.fromPartial({ explanation }));
        },
      },
    },
    "--gpu-only",
  );
  expect(outcome).toEqual({ code: 2, stdout: "task infer: pending_capacity (No room now.)\n" });
  // Of the contract: the list asks for a whole core unless it is told another figure, which is no smaller one.
  const cpuCores = listed?.minCpuCores ?? 1;
  expect(explained?.needs).toMatchObject({ cpuCores, gpuVramGb: listed?.minGpuVramPerCardGb });
});

it("R-PAUSE-8: a plan that may have been accepted is handed over again with the same request id", async () => {
  const requestIds: string[] = [];
  const plan = wire.Plan.fromPartial({ planId, status: wire.PlanStatus.PLAN_STATUS_SUCCEEDED, tasks: [{}] });
  const outcome = await workPlanner({
    capacity: {
      listAvailableCapacity: () =>
        Promise.resolve(wire.ListAvailableCapacityResponse.fromPartial({ agents: [{ agentId, hostname: "desk-7" }] })),
    },
    plans: {
      dispatchPlan: ({ requestId }) => {
        requestIds.push(requestId);
        // One more than the client tries by itself.
        return requestIds.length <= 3
          ? Promise.reject(away())
          : Promise.resolve(wire.DispatchPlanResponse.create({ planId, duplicate: true }));
      },
      async *watchPlan() {
        yield { event: wire.PlanEvent.create({ eventId: 1, planId }), plan };
      },
      getPlan: () => Promise.resolve({ plan }),
    },
  });
  expect(outcome.stdout).toMatch(/not handed over yet: away[^]*done/);
  expect(requestIds).toHaveLength(4);
  expect(new Set(requestIds).size).toBe(1);
});
