import { hostname } from "node:os";
import { wire } from "@headroom/contracts";
import { afterEach, describe, expect, it } from "vitest";
import { type CliOutcome, type Handlers, runTestCli, startTestServices } from "../cli.test-helper.ts";

const planId = "bbbb1111-1111-4111-8111-111111111111";
const taskId = "cccc1111-1111-4111-8111-111111111111";
const agentId = "aaaa1111-1111-4111-8111-111111111111";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function run(handlers: Handlers, args: readonly string[], stdin?: string): Promise<CliOutcome> {
  const services = await startTestServices(handlers);
  cleanups.push(() => services.stop());
  return runTestCli([...services.flags, ...args], stdin === undefined ? {} : { stdin });
}

const at = (seconds: number) => ({ seconds, nanos: 0 });

describe("hold and release", () => {
  it("say why and who: the person at this machine, unless another name is given", async () => {
    const asked: (wire.HoldPlanRequest | wire.HoldQueueRequest)[] = [];
    const handlers: Handlers = {
      plans: {
        holdPlan: (request) => {
          asked.push(request);
          const counts = wire.TaskCounts.fromPartial({ running: 2 });
          return Promise.resolve(wire.HoldPlanResponse.fromPartial({ heldTasks: 3, plan: { planId, counts } }));
        },
      },
      queue: {
        holdQueue: (request) => {
          asked.push(request);
          return Promise.resolve(wire.HoldQueueResponse.fromPartial({ hold: { ...request, heldAt: at(60) } }));
        },
        releaseQueue: () => Promise.resolve({}),
      },
    };
    const held = await run(handlers, ["plan", "hold", planId, "--reason", "disk swap"]);
    expect(held.stderr).toContain("3 tasks wait; 2 tasks on agents go on");
    const queue = await run(handlers, ["queue", "hold", "--by", "ops", "--reason", "power work"]);
    expect(queue.stderr).toContain("the queue is held by ops since 1970-01-01 00:01:00Z: power work");
    expect((await run(handlers, ["queue", "release"])).stderr).toContain("the queue was not held");
    expect(asked).toEqual([
      { planId, reason: "disk swap", heldBy: expect.stringContaining(hostname()) },
      { reason: "power work", heldBy: "ops" },
    ]);
  });
});

describe("plan cancel", () => {
  const cancelled = async (plan: Partial<wire.Plan>): Promise<CliOutcome> =>
    run(
      { plans: { cancelPlan: () => Promise.resolve({ plan: wire.Plan.create({ planId, name: "demo", ...plan }) }) } },
      ["plan", "cancel", planId],
    );
  const { PLAN_STATUS_SUCCEEDED, PLAN_STATUS_FAILED, PLAN_STATUS_CANCELLED } = wire.PlanStatus;

  it("of a plan that has ended says how it has ended, and is an error", async () => {
    const succeeded = await cancelled({ status: PLAN_STATUS_SUCCEEDED });
    expect([succeeded.code, succeeded.stderr]).toEqual([1, `plan ${planId} (demo) has succeeded already\n`]);
    const failed = await cancelled({ status: PLAN_STATUS_FAILED });
    expect([failed.code, failed.stderr]).toEqual([1, `plan ${planId} (demo) has failed already\n`]);
  });

  it("says what it has cancelled, also of a plan with tasks that have failed", async () => {
    const done = await cancelled({ status: PLAN_STATUS_CANCELLED, cancelRequested: true });
    expect([done.code, done.stderr]).toEqual([0, `plan ${planId} (demo) is cancelled\n`]);
    const partly = await cancelled({ status: PLAN_STATUS_FAILED, cancelRequested: true });
    expect(partly.code).toBe(0);
    expect(partly.stderr).toContain("has failed tasks; what had not ended of it is cancelled");
  });
});

describe("plan hold", () => {
  it("counts one task as one", async () => {
    const counts = wire.TaskCounts.fromPartial({ running: 1 });
    const answer = wire.HoldPlanResponse.fromPartial({ heldTasks: 1, plan: { planId, counts } });
    const { stderr } = await run({ plans: { holdPlan: () => Promise.resolve(answer) } }, ["plan", "hold", planId]);
    expect(stderr).toContain("1 task waits; 1 task on agents goes on");
  });
});

describe("plan retry", () => {
  it("tells what runs again and what is back; with nothing failed it says so", async () => {
    const answering = (answer: Partial<wire.RetryPlanResponse>): Handlers => ({
      plans: { retryPlan: () => Promise.resolve(wire.RetryPlanResponse.create(answer)) },
    });
    const some = await run(answering({ retriedTasks: 1, restoredTasks: 4 }), ["plan", "retry", planId]);
    expect(some.stderr).toContain(`1 failed task of plan ${planId} runs again, and 4 that depend on them are back`);
    const none = await run(answering({}), ["plan", "retry", planId]);
    expect(none.stderr).toContain("there is nothing to retry");
    expect(none.code).toBe(0);
  });
});

describe("plan history", () => {
  const event = (eventId: number, kind: string, more: Partial<wire.PlanEvent> = {}): wire.PlanEvent =>
    wire.PlanEvent.fromPartial({ eventId, kind, at: at(60 + eventId), planId, actor: "orchestrator", ...more });
  const pages = [
    [event(1, "PLAN_ACCEPTED", { actor: "planner", sentence: "accepted with 1 tasks" })],
    [
      event(2, "TASK_WAIT_TIMED_OUT", { taskId, taskName: "one", sentence: "it waited too long" }),
      event(3, "PLAN_FAILED"),
    ],
  ];
  const handlers: Handlers = {
    plans: {
      listPlanEvents: ({ pageToken }) =>
        Promise.resolve(
          wire.ListPlanEventsResponse.fromPartial({
            events: pages[pageToken === "" ? 0 : 1] ?? [],
            nextPageToken: pageToken === "" ? "more" : "",
            trimmedThroughEventId: 1,
          }),
        ),
    },
  };

  it("reads all pages, the oldest first, and tells what was deleted or left out", async () => {
    const { stdout, stderr } = await run(handlers, ["plan", "history", planId]);
    expect(stdout).toMatch(/\(plan\) +accepted +planner/);
    expect(stdout).toMatch(/one +wait timed out +orchestrator +- +it waited too long/);
    expect(stderr).toContain("its oldest events have been deleted");
    const newest = await run(handlers, ["plan", "history", planId, "--limit", "1", "-o", "json"]);
    expect(
      newest.stdout
        .trim()
        .split("\n")
        .map((line): unknown => JSON.parse(line)),
    ).toMatchObject([{ event_id: 3, kind: "PLAN_FAILED" }]);
    expect(newest.stderr).toBe(
      "its oldest events have been deleted, for their age\n2 older ones are not shown; --limit shows more\n",
    );
  });
});

describe("queue history", () => {
  it.each(["table", "json"])("says that older ones are not shown: %s", async (format) => {
    const events = [wire.QueueEvent.create({ kind: "QUEUE_HELD", at: at(60), by: "ops" })];
    const history = async (nextPageToken: string): Promise<string> => {
      const answer = wire.ListQueueEventsResponse.create({ events, nextPageToken });
      const handlers: Handlers = { queue: { listQueueEvents: () => Promise.resolve(answer) } };
      return (await run(handlers, ["queue", "history", "-o", format])).stderr;
    };
    expect(await history("more")).toBe("older ones are not shown; --limit shows up to 1000\n");
    expect(await history("")).toBe("");
  });
});

describe("a sentence from a service", () => {
  it("has no control characters that a terminal would obey", async () => {
    const sentence = "\u001B]0;x\u0007y";
    const explanation = wire.CapacityExplanation.fromPartial({ sentence });
    const handlers: Handlers = {
      plans: { explainTask: () => Promise.resolve(wire.ExplainTaskResponse.fromPartial({ sentence })) },
      capacity: { explainCapacity: () => Promise.resolve(wire.ExplainCapacityResponse.create({ explanation })) },
      fleet: {
        inspectPlacement: () => Promise.resolve(wire.InspectPlacementResponse.fromPartial({ sentences: [sentence] })),
      },
    };
    for (const args of [
      ["task", "explain", taskId],
      ["capacity", "explain"],
      ["placement", "inspect"],
    ])
      expect((await run(handlers, args)).stdout).toContain("\\x1b]0;x\\x07y\n");
  });
});

describe("plan preview", () => {
  it("shows what would start where and what would wait, and that nothing was kept", async () => {
    const tasks = [
      { name: "one", state: wire.TaskState.TASK_STATE_ASSIGNED, agentId },
      {
        name: "two",
        state: wire.TaskState.TASK_STATE_PAUSED,
        pauseReason: wire.PauseReason.PAUSE_REASON_NO_AGENT_FITS_NOW,
        sentence: "2 cores short",
      },
    ];
    const file =
      "name: demo\ntasks:\n  - { name: one, command: { argv: [node] } }\n  - { name: two, command: { argv: [node] } }\n";
    const handlers: Handlers = {
      plans: { previewPlan: () => Promise.resolve(wire.PreviewPlanResponse.fromPartial({ tasks })) },
    };
    const { stdout, stderr, code } = await run(handlers, ["plan", "preview", "-"], file);
    expect(stdout).toMatch(/one +start +aaaa1111/);
    expect(stdout).toMatch(/two +wait +- +no_agent_fits_now: 2 cores short/);
    expect(stderr).toContain("1 task would start, 1 would wait; nothing was kept");
    expect(code).toBe(0);
  });
});
