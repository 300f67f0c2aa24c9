import { wire } from "@headroom/contracts";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { startFakeRegistry } from "./fake-registry.ts";
import { createWorld, fleetSeen, planOf, waitUntil, type World } from "./harness.ts";

const { PlanStatus, TaskState, PauseReason, AttemptOutcome } = wire;
let world: World;

beforeAll(async () => {
  world = await createWorld("orch_dispatch");
});
afterEach(() => world.reset());
afterAll(() => world.close());

async function planState(running: Awaited<ReturnType<World["start"]>>, planId: string): Promise<wire.Plan> {
  const { plan } = await running.plans.getPlan({ planId });
  if (plan === undefined) throw new Error("no plan in the answer");
  return plan;
}

describe("dispatch", () => {
  it("DESIGN 5: a plan that fits is dispatched, delivered, run and succeeds", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 8 });
    await fleetSeen(running, 1);
    const answer = await running.plans.dispatchPlan(planOf(3));
    expect(answer.status).toBe(PlanStatus.PLAN_STATUS_DISPATCHED);
    expect(answer.dispatchedTasks).toBe(3);
    expect(answer.pausedTasks).toBe(0);
    expect(answer.tasks.map((task) => task.agentId)).toEqual([agent.agentId, agent.agentId, agent.agentId]);
    await waitUntil(() => agent.running.size === 3);
    expect(agent.given.every((given) => given.acceptWithin !== undefined && given.fence === 1)).toBe(true);
    await waitUntil(async () => (await planState(running, answer.planId)).counts?.running === 3);
    for (const attemptId of [...agent.running.keys()]) agent.finish(attemptId);
    await waitUntil(async () => (await planState(running, answer.planId)).status === PlanStatus.PLAN_STATUS_SUCCEEDED);
    expect([...agent.acks.values()]).toEqual([{ refused: false }, { refused: false }, { refused: false }]);
    await waitUntil(() => world.registry.held.size === 0);
  });

  it("R-PAUSE-5: what finds no room is paused with the registry's reason, and resumes when a run ends", async () => {
    const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "3600" });
    const agent = await world.agent(running, { cores: 2 });
    await fleetSeen(running, 1);
    const answer = await running.plans.dispatchPlan(planOf(5));
    expect(answer.status).toBe(PlanStatus.PLAN_STATUS_PARTLY_PAUSED);
    expect(answer.pausedTasks).toBe(3);
    expect(answer.dispatchedTasks).toBe(2);
    expect(answer.tasks[4]?.pauseReason).toBe(PauseReason.PAUSE_REASON_NO_AGENT_FITS_NOW);
    expect(answer.tasks[4]?.sentence).toMatch(/core/);
    while ((await planState(running, answer.planId)).status !== PlanStatus.PLAN_STATUS_SUCCEEDED) {
      await waitUntil(
        async () => agent.running.size > 0 || (await planState(running, answer.planId)).finishedAt !== undefined,
      );
      for (const attemptId of [...agent.running.keys()]) agent.finish(attemptId);
    }
    expect(new Set(agent.given.map((given) => given.taskId)).size).toBe(5);
    expect(agent.given.map((given) => given.taskName)).toEqual(["task-1", "task-2", "task-3", "task-4", "task-5"]);
  });

  it("R-PAUSE-5: a task that fits nowhere ever says so", async () => {
    const running = await world.start();
    await world.agent(running, { cores: 2 });
    await fleetSeen(running, 1);
    const answer = await running.plans.dispatchPlan(planOf(1, { cpuCores: 64 }));
    expect(answer.status).toBe(PlanStatus.PLAN_STATUS_PAUSED);
    expect(answer.tasks[0]?.pauseReason).toBe(PauseReason.PAUSE_REASON_NO_AGENT_CAN_EVER_FIT);
    const explained = await running.plans.explainTask({ taskId: answer.tasks[0]?.taskId ?? "", maxAgents: 0 });
    expect(explained.capacity?.verdict).toBe(wire.FleetVerdict.FLEET_VERDICT_NEVER);
    expect(explained.sentence).toMatch(/never/);
  });

  it("fail_unsatisfiable: a plan that can never fit is refused whole, naming the task", async () => {
    const running = await world.start();
    await world.agent(running, { cores: 2 });
    await fleetSeen(running, 1);
    const [fits, never] = [planOf(1), planOf(1, { cpuCores: 64 })].map(({ plan }) => plan!.tasks[0]!);
    const plan = {
      ...planOf(1).plan!,
      tasks: [
        { ...fits!, name: "fits" },
        { ...never!, name: "never" },
      ],
    };
    const refused = await running.plans
      .dispatchPlan({ ...planOf(1), plan, failUnsatisfiable: true })
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "CAN_NEVER_FIT",
      fieldViolations: [{ field: "plan.tasks[1].needs" }],
    });
    expect((await running.plans.listPlans({ statuses: [], name: "", pageSize: 0, pageToken: "" })).plans).toEqual([]);
    const accepted = await running.plans.dispatchPlan({ ...planOf(1), failUnsatisfiable: true });
    expect(accepted.status).toBe(PlanStatus.PLAN_STATUS_DISPATCHED);
  });

  it("what no known agent could ever take is told while none is online: refused when asked to, else paused by the gate", async () => {
    const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "3600" });
    const { agentId } = await world.agent(running, { cores: 2 });
    world.registry.set(agentId, { cores: 2, online: false });
    await fleetSeen(running, 0);
    const never = planOf(1, { cpuCores: 64 });
    await expect(running.plans.dispatchPlan({ ...never, failUnsatisfiable: true })).rejects.toMatchObject({
      code: "FAILED_PRECONDITION",
      reason: "CAN_NEVER_FIT",
      fieldViolations: [{ field: "plan.tasks[0].needs" }],
    });
    const preview = await running.plans.previewPlan({ plan: never.plan });
    expect(preview.tasks[0]?.pauseReason).toBe(PauseReason.PAUSE_REASON_NO_AGENT_CAN_EVER_FIT);
    const { tasks } = await running.plans.dispatchPlan(never);
    expect(tasks[0]?.pauseReason).toBe(PauseReason.PAUSE_REASON_NO_AGENT_ONLINE);
    const explained = await running.plans.explainTask({ taskId: tasks[0]?.taskId ?? "", maxAgents: 0 });
    expect(explained.sentence).toMatch(/^It can never fit on the only agent; .*It waits until an agent joins/);
    const small = await running.plans.dispatchPlan({ ...planOf(1), failUnsatisfiable: true });
    expect(small.tasks[0]?.pauseReason).toBe(PauseReason.PAUSE_REASON_NO_AGENT_ONLINE);
    // Of nobody nothing is known.
    world.registry.remove(agentId);
    const unknown = await running.plans.dispatchPlan({ ...planOf(1, { cpuCores: 64 }), failUnsatisfiable: true });
    expect(unknown.tasks[0]?.pauseReason).toBe(PauseReason.PAUSE_REASON_NO_AGENT_ONLINE);
  });

  it("R-PAUSE-2: GPU work on a fleet without a GPU waits because nothing can ever take it, not for a threshold", async () => {
    const running = await world.start();
    await world.agent(running, { cores: 2 });
    await fleetSeen(running, 1);
    const check = await running.queue.checkCapacity({ needs: wire.ResourceNeeds.fromPartial({ gpuVramGb: 8 }) });
    expect(check.shouldPause).toBe(true);
    expect(check.sentence).toBe("No online agent has a GPU to give.");
    const answer = await running.plans.dispatchPlan(planOf(1, { gpuVramGb: 8 }));
    expect(answer.status).toBe(PlanStatus.PLAN_STATUS_PAUSED);
    expect(answer.tasks[0]?.pauseReason).toBe(PauseReason.PAUSE_REASON_NO_AGENT_CAN_EVER_FIT);
  });

  it("R-PAUSE-9: with the registry away a plan is accepted and waits; it runs when the registry is back", async () => {
    const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "3600" });
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    await world.registry.stop();
    await waitUntil(async () => !(await running.queue.getQueueStatus({})).registryConnected);
    const answer = await running.plans.dispatchPlan(planOf(2));
    expect(answer.status).toBe(PlanStatus.PLAN_STATUS_PAUSED);
    expect(answer.tasks[0]?.pauseReason).toBe(PauseReason.PAUSE_REASON_REGISTRY_UNAVAILABLE);
    await world.registry.start();
    await waitUntil(() => agent.running.size === 2);
  });

  it("fail_unsatisfiable: with the registry away nothing is accepted, and to be tried again", async () => {
    const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "3600" });
    await world.registry.stop();
    await waitUntil(async () => !(await running.queue.getQueueStatus({})).registryConnected);
    const refused = running.plans.dispatchPlan({ ...planOf(1), failUnsatisfiable: true });
    await expect(refused).rejects.toMatchObject({ code: "UNAVAILABLE", reason: "REGISTRY_UNAVAILABLE" });
    expect((await running.plans.listPlans({ statuses: [], name: "", pageSize: 0, pageToken: "" })).plans).toEqual([]);
    await world.registry.start();
  });

  it("fail_unsatisfiable: a registry that does not know the orchestrator's token is away; the planner's own token is right", async () => {
    const stranger = await startFakeRegistry("of-another-installation-0123456789");
    const running = await world.start({ HEADROOM_REGISTRY_ADDR: stranger.address });
    const refused = await running.plans
      .dispatchPlan({ ...planOf(1), failUnsatisfiable: true })
      .catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "UNAVAILABLE", reason: "REGISTRY_UNAVAILABLE" });
    await stranger.stop();
  });

  it("R-PAUSE-9: room that could not be asked for is not promised: the tasks are paused and resumed", async () => {
    const running = await world.start({ PAUSE_POLLING_INTERVAL_SECONDS: "1" });
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    world.registry.onReserve(() => Promise.reject(new Error("scripted")));
    const answer = await running.plans.dispatchPlan(planOf(2));
    expect(answer.status).toBe(PlanStatus.PLAN_STATUS_PAUSED);
    expect(answer.tasks[0]?.pauseReason).toBe(PauseReason.PAUSE_REASON_REGISTRY_UNAVAILABLE);
    world.registry.onReserve(null);
    await waitUntil(() => agent.running.size === 2);
  });

  it("dependencies: a task starts after those it depends on have succeeded; a failure cancels what follows", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 8 });
    await fleetSeen(running, 1);
    const command = { argv: ["true"] };
    const answer = await running.plans.dispatchPlan(
      wire.DispatchPlanRequest.fromPartial({
        plan: {
          name: "dag",
          tasks: [
            { name: "a", command },
            { name: "b", command, dependsOn: ["a"] },
            { name: "c", command, dependsOn: ["b"] },
            { name: "d", command, dependsOn: ["c", "a"] },
          ],
        },
      }),
    );
    expect(answer.tasks.map((task) => task.pauseReason)).toEqual([0, 5, 5, 5]);
    const finishNext = async (name: string, result: Partial<wire.AttemptFinished>): Promise<void> => {
      const attempt = await waitUntil(() => [...agent.running.values()].find((given) => given.taskName === name));
      agent.finish(attempt.attemptId, result);
    };
    await finishNext("a", {});
    await finishNext("b", { exitCode: 3 });
    const plan = await waitUntil(async () => {
      const now = await planState(running, answer.planId);
      return now.finishedAt === undefined ? null : now;
    });
    expect(plan.status).toBe(PlanStatus.PLAN_STATUS_FAILED);
    expect(plan.tasks.map((task) => task.state)).toEqual([
      TaskState.TASK_STATE_SUCCEEDED,
      TaskState.TASK_STATE_FAILED,
      TaskState.TASK_STATE_CANCELLED,
      TaskState.TASK_STATE_CANCELLED,
    ]);
    expect(plan.tasks[1]?.attempts[0]?.exitCode).toBe(3);
  });

  it("retries: a failed command only on request, an evicted run always, until max_attempts", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 8 });
    await fleetSeen(running, 1);
    const answer = await running.plans.dispatchPlan(planOf(1, {}, { maxAttempts: 2 }));
    const first = await waitUntil(() => agent.given[0]);
    agent.finish(first.attemptId, { outcome: AttemptOutcome.ATTEMPT_OUTCOME_EVICTED, exitCode: undefined });
    const second = await waitUntil(() => agent.given[1]);
    expect(second.taskId).toBe(first.taskId);
    expect(second.attemptId).not.toBe(first.attemptId);
    expect(second.fence).toBeGreaterThan(first.fence);
    agent.finish(second.attemptId, { exitCode: 1 });
    await waitUntil(async () => (await planState(running, answer.planId)).status === PlanStatus.PLAN_STATUS_FAILED);
    expect(agent.given).toHaveLength(2);
  });

  it("request_id: the same plan again is the same plan; another plan is refused", async () => {
    const running = await world.start();
    const requestId = "7d0a31f0-8f1b-4c49-9a4c-5d3c9e1f5a11";
    const first = await running.plans.dispatchPlan({ ...planOf(2), requestId });
    const again = await running.plans.dispatchPlan({ ...planOf(2), requestId });
    expect(again.planId).toBe(first.planId);
    expect(again.duplicate).toBe(true);
    expect(again.tasks.map((task) => task.taskId)).toEqual(first.tasks.map((task) => task.taskId));
    await expect(running.plans.dispatchPlan({ ...planOf(3), requestId })).rejects.toMatchObject({
      code: "ALREADY_EXISTS",
      reason: "REQUEST_ID_REUSED",
    });
    const both = await Promise.all(
      [1, 2, 3].map(() =>
        running.plans.dispatchPlan({ ...planOf(1), requestId: "7d0a31f0-8f1b-4c49-9a4c-5d3c9e1f5a12" }),
      ),
    );
    expect(new Set(both.map(({ planId }) => planId)).size).toBe(1);
  });
});

describe("bad plans", () => {
  it("names every field at fault, and accepts nothing", async () => {
    const running = await world.start();
    const command = wire.Command.fromPartial({ argv: ["true"] });
    const dispatch = (tasks: Partial<wire.TaskSpec>[], more: Partial<wire.DispatchPlanRequest> = {}) =>
      running.plans.dispatchPlan(wire.DispatchPlanRequest.fromPartial({ plan: { name: "bad", tasks }, ...more }));
    const fields = async (call: Promise<unknown>) => {
      const error: unknown = await call.then(
        () => null,
        (reason: unknown) => reason,
      );
      return error as {
        code: string;
        reason: string;
        message: string;
        fieldViolations: { field: string; description: string }[];
      };
    };
    const id = "2b3c1d62-5c4b-4f43-9a37-6a2f2a1c7d10";
    expect(
      (
        await fields(
          dispatch([
            { name: "a", command },
            { name: "a", command },
          ]),
        )
      ).fieldViolations,
    ).toMatchObject([{ field: "plan.tasks[1].name" }]);
    expect(
      (
        await fields(
          dispatch([
            { name: "a", command, taskId: id },
            { name: "b", command, taskId: id.toUpperCase() },
          ]),
        )
      ).fieldViolations,
    ).toMatchObject([{ field: "plan.tasks[1].task_id" }]);
    expect((await fields(dispatch([{ name: "a", command, dependsOn: ["x"] }]))).fieldViolations).toMatchObject([
      { field: "plan.tasks[0].depends_on[0]" },
    ]);
    expect((await fields(dispatch([{ name: "a", command, dependsOn: ["a"] }]))).fieldViolations).toMatchObject([
      { field: "plan.tasks[0].depends_on[0]" },
    ]);
    const cycle = await fields(
      dispatch([
        { name: "a", command, dependsOn: ["b"] },
        { name: "b", command, dependsOn: ["a"] },
      ]),
    );
    expect(cycle.code).toBe("INVALID_ARGUMENT");
    expect(cycle.message).toMatch(/a -> b -> a|b -> a -> b/);
    expect(
      (await fields(dispatch([{ name: "a", command, resumeAfter: { seconds: 5, nanos: 0 } }]))).fieldViolations,
    ).toMatchObject([{ field: "plan.tasks[0].resume_after" }]);
    expect(await fields(dispatch([{ name: "a", command, gang: "g" }]))).toMatchObject({
      code: "UNIMPLEMENTED",
      fieldViolations: [{ field: "plan.tasks[0].gang" }],
    });
    expect((await fields(dispatch([]))).code).toBe("INVALID_ARGUMENT");
    expect(
      (
        await fields(
          dispatch([{ name: "a", command, needs: wire.ResourceNeeds.fromPartial({ cpuCores: Number.NaN }) }]),
        )
      ).code,
    ).toBe("INVALID_ARGUMENT");
    const kept = await dispatch([{ name: "a", command, taskId: id }]);
    expect(kept.tasks[0]?.taskId).toBe(id);
    expect(await fields(dispatch([{ name: "a", command, taskId: id }]))).toMatchObject({
      code: "ALREADY_EXISTS",
      reason: "TASK_ID_EXISTS",
    });
    expect(await world.sql("SELECT count(*)::int AS n FROM orchestrator.plans")).toEqual([{ n: 1 }]);
    expect(await fields(running.plans.getPlan({ planId: id }))).toMatchObject({
      code: "NOT_FOUND",
      reason: "PLAN_NOT_FOUND",
    });
    expect(await fields(running.plans.getTask({ taskId: "2b3c1d62-5c4b-4f43-9a37-6a2f2a1c7d11" }))).toMatchObject({
      reason: "TASK_NOT_FOUND",
    });
    expect(await fields(running.plans.previewPlan({ plan: undefined }))).toMatchObject({
      code: "INVALID_ARGUMENT",
    });
  });
});
