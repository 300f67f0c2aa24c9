import { wire } from "@headroom/contracts";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createWorld, dispatchOne, fleetSeen, planOf, waitUntil, type World } from "./harness.ts";

const { PlanStatus, TaskState, PauseReason } = wire;
let world: World;

beforeAll(async () => {
  world = await createWorld("orch_output");
});
afterEach(() => world.reset());
afterAll(() => world.close());

describe("output and events", () => {
  it("streams logs, follows until the end, keeps up to the bound and says what was left out", async () => {
    const running = await world.start({ HEADROOM_TASK_OUTPUT_MB: "0.001" });
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const { taskId } = await dispatchOne(running);
    const given = await waitUntil(() => [...agent.running.values()][0]);
    const seen: string[] = [];
    const following = (async () => {
      for await (const piece of running.plans.streamTaskLogs({ taskId, attemptId: "", follow: true })) {
        seen.push(piece.data.toString());
      }
    })();
    agent.output(given.attemptId, 1, "hello ");
    agent.output(given.attemptId, 1, "hello ");
    agent.output(given.attemptId, 2, "world\n");
    agent.output(given.attemptId, 3, "x".repeat(2_000));
    agent.output(given.attemptId, 4, "END\n");
    agent.finish(given.attemptId);
    await following;
    expect(seen.slice(0, 2)).toEqual(["hello ", "world\n"]);
    expect(seen.at(-1)).toBe("END\n");
    const afterwards: string[] = [];
    for await (const piece of running.plans.streamTaskLogs({ taskId, attemptId: "", follow: false })) {
      afterwards.push(piece.data.toString());
    }
    expect(afterwards).toEqual([
      "hello ",
      "world\n",
      expect.stringMatching(/^2000 bytes of output left out here/),
      "END\n",
    ]);
    await expect(
      (async () => {
        for await (const piece of running.plans.streamTaskLogs({
          taskId,
          attemptId: "99999999-1111-4111-8111-999999999999",
          follow: false,
        }))
          void piece;
      })(),
    ).rejects.toMatchObject({ reason: "ATTEMPT_NOT_FOUND" });
  });

  it("whoever follows gets the output that comes after the result", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const { taskId } = await dispatchOne(running);
    const given = await waitUntil(() => [...agent.running.values()][0]);
    agent.output(given.attemptId, 1, "so far\n");
    agent.finish(given.attemptId, { lastOutputSeq: 2 });
    await waitUntil(() => agent.acks.has(given.attemptId));
    // It finds the run ended at its first look.
    const seen: string[] = [];
    for await (const piece of running.plans.streamTaskLogs({ taskId, attemptId: "", follow: true })) {
      seen.push(piece.data.toString());
      if (piece.seq === 1) agent.output(given.attemptId, 2, "the end\n");
    }
    expect(seen).toEqual(["so far\n", "the end\n"]);
  });

  it("WatchPlan tells every event from any point, and ends with the plan", async () => {
    const running = await world.start();
    const agent = await world.agent(running, { cores: 4 });
    await fleetSeen(running, 1);
    const { planId } = await running.plans.dispatchPlan(planOf(2));
    const events: wire.PlanEvent[] = [];
    const watching = (async () => {
      for await (const { event } of running.plans.watchPlan({ planId, afterEventId: 0 }))
        if (event !== undefined) events.push(event);
    })();
    await waitUntil(() => agent.running.size === 2);
    for (const attemptId of [...agent.running.keys()]) agent.finish(attemptId);
    await watching;
    const kinds = events.map((event) => event.kind);
    expect(kinds[0]).toBe("PLAN_ACCEPTED");
    expect(kinds.at(-1)).toBe("PLAN_SUCCEEDED");
    expect(kinds.filter((kind) => kind === "TASK_SUCCEEDED")).toHaveLength(2);
    const ids = events.map((event) => event.eventId);
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    const rest: number[] = [];
    for await (const { event } of running.plans.watchPlan({ planId, afterEventId: ids[3] ?? 0 }))
      rest.push(event?.eventId ?? 0);
    expect(rest).toEqual(ids.slice(4));
    await expect(
      (async () => {
        for await (const piece of running.plans.watchPlan({
          planId: "99999999-1111-4111-8111-999999999999",
          afterEventId: 0,
        }))
          void piece;
      })(),
    ).rejects.toMatchObject({ reason: "PLAN_NOT_FOUND" });
  });
});

describe("lists", () => {
  it("pages through plans, tasks and the queue; a token of another list is refused", async () => {
    const running = await world.start();
    for (let n = 0; n < 5; n += 1) await running.plans.dispatchPlan(planOf(3));
    const plans: string[] = [];
    let pageToken = "";
    do {
      const page = await running.plans.listPlans({ statuses: [], name: "", pageSize: 2, pageToken });
      plans.push(...page.plans.map((plan) => plan.planId));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(new Set(plans).size).toBe(5);
    const paused: string[] = [];
    do {
      const page = await running.queue.listPausedTasks({
        planId: "",
        reason: PauseReason.PAUSE_REASON_UNSPECIFIED,
        pageSize: 4,
        pageToken,
      });
      paused.push(...page.tasks.map((one_) => one_.taskId));
      expect(page.totalSize).toBe(15);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(new Set(paused).size).toBe(15);
    const tasks = await running.plans.listTasks({
      planId: plans[0] ?? "",
      states: [TaskState.TASK_STATE_PAUSED],
      pageSize: 2,
      pageToken: "",
    });
    expect(tasks.tasks).toHaveLength(2);
    await expect(
      running.plans.listTasks({ planId: "", states: [], pageSize: 2, pageToken: tasks.nextPageToken }),
    ).rejects.toMatchObject({ code: "INVALID_ARGUMENT", fieldViolations: [{ field: "page_token" }] });
    await expect(
      running.plans.listPlans({ statuses: [], name: "", pageSize: 2, pageToken: "bm9uc2Vuc2U" }),
    ).rejects.toMatchObject({
      reason: "INVALID_PAGE_TOKEN",
    });
    const none = await running.plans.listPlans({
      statuses: [PlanStatus.PLAN_STATUS_SUCCEEDED],
      name: "",
      pageSize: 0,
      pageToken: "",
    });
    expect(none.plans).toEqual([]);
    const waiting = await running.plans.listPlans({
      statuses: [PlanStatus.PLAN_STATUS_PAUSED],
      name: "",
      pageSize: 0,
      pageToken: "",
    });
    expect(waiting.plans).toHaveLength(5);
  });
});
