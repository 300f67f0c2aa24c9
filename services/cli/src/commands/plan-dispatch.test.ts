import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { wire } from "@headroom/contracts";
import { HeadroomError, invalidArgument } from "@headroom/rpc";
import { makeTempDir } from "@headroom/testing";
import { afterEach, describe, expect, it } from "vitest";
import {
  type CliOutcome,
  type Handlers,
  runTestCli,
  startTestServices,
  type TestCliOptions,
} from "../cli.test-helper.ts";

const agentId = "aaaa1111-1111-4111-8111-111111111111";
const planId = "bbbb1111-1111-4111-8111-111111111111";
const taskId = "cccc1111-1111-4111-8111-111111111111";
const { PLAN_STATUS_PAUSED, PLAN_STATUS_SUCCEEDED, PLAN_STATUS_FAILED, PLAN_STATUS_PARTLY_PAUSED } = wire.PlanStatus;
const { TASK_STATE_PAUSED, TASK_STATE_RUNNING, TASK_STATE_SUCCEEDED, TASK_STATE_FAILED } = wire.TaskState;
const { PAUSE_REASON_NO_AGENT_FITS_NOW: noFit } = wire.PauseReason;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function run(handlers: Handlers, args: readonly string[], options: TestCliOptions = {}): Promise<CliOutcome> {
  const services = await startTestServices(handlers);
  cleanups.push(() => services.stop());
  return runTestCli([...services.flags, ...args], options);
}

const planFile = "name: demo\ntasks:\n  - name: one\n    command: { argv: [node] }\n    needs:\n      cpu_cores: 2\n";

describe("plan dispatch", () => {
  const answering = (
    status: wire.PlanStatus,
    requests: wire.DispatchPlanRequest[] = [],
    pauseReason: wire.PauseReason = noFit,
  ): Handlers => ({
    plans: {
      dispatchPlan: (request) => {
        requests.push(request);
        const tasks = [
          wire.DispatchedTask.create({
            taskId,
            name: "one",
            state: TASK_STATE_PAUSED,
            pauseReason,
            sentence: "2 cores short",
          }),
        ];
        return Promise.resolve(wire.DispatchPlanResponse.create({ planId, status, pausedTasks: 1, tasks }));
      },
    },
  });

  it("R-PAUSE-5: answers 2 when it waits for capacity, and says why", async () => {
    const requests: wire.DispatchPlanRequest[] = [];
    const { code, stdout, stderr } = await run(answering(PLAN_STATUS_PAUSED, requests), ["plan", "dispatch", "-"], {
      stdin: planFile,
    });
    expect(stdout).toMatch(/status +paused/);
    expect(stdout).toMatch(/cccc1111 +one +paused +- +no_agent_fits_now: 2 cores short/);
    expect(stderr).toMatch(/1 waiting/);
    expect(code).toBe(2);
    expect(requests[0]?.plan?.tasks[0]?.needs?.cpuCores).toBe(2);
  });

  it("answers 0 when nothing waits for capacity but only for its turn in the plan, and hands a request id on", async () => {
    const requests: wire.DispatchPlanRequest[] = [];
    const args = ["plan", "dispatch", "-", "--request-id", taskId, "-o", "json"];
    const handlers = answering(PLAN_STATUS_PARTLY_PAUSED, requests, wire.PauseReason.PAUSE_REASON_DEPENDENCY_PENDING);
    const { code, stdout } = await run(handlers, args, { stdin: planFile });
    expect(JSON.parse(stdout)).toMatchObject({
      plan_id: planId,
      status: "partly_paused",
      tasks: [{ state: "paused", pause_reason: "dependency_pending" }],
    });
    expect([code, requests[0]?.requestId]).toEqual([0, taskId]);
  });

  it("says in which line of the file a field stands that the service refuses", async () => {
    const dir = await makeTempDir("cli");
    cleanups.push(() => dir.remove());
    await writeFile(join(dir.path, "plan.yaml"), planFile);
    const handlers: Handlers = {
      plans: {
        dispatchPlan: () =>
          Promise.reject(invalidArgument([{ field: "plan.tasks[0].needs.cpu_cores", description: "is too much" }])),
      },
    };
    const { code, stderr } = await run(handlers, ["plan", "dispatch", "plan.yaml"], { cwd: dir.path });
    expect(stderr).toContain("plan.yaml:6: plan.tasks[0].needs.cpu_cores: is too much");
    expect(code).toBe(1);
  });

  it.each([
    ["missing.yaml", "", /cannot read missing.yaml: there is no such file/],
    ["-", "name: a\ntaks: []\n", /stdin:2:1: a plan has no key "taks"; did you mean tasks\?\n.*plan dispatch --help/],
    ["-", "", /the file is empty/],
  ])("tells what is wrong with %s %j", async (file, stdin, message) => {
    const { code, stderr } = await runTestCli(["plan", "dispatch", file], { stdin });
    expect(stderr).toMatch(message);
    expect(code).toBe(1);
  });
});

describe("plan dispatch --watch", () => {
  const eventOf = (
    eventId: number,
    partial: Partial<wire.PlanEvent>,
    status: wire.PlanStatus,
  ): wire.WatchPlanResponse => ({
    event: wire.PlanEvent.create({ eventId, planId, at: { seconds: 60, nanos: 0 }, ...partial }),
    plan: wire.Plan.create({ planId, status }),
  });

  function watched(last: wire.PlanStatus, lastState: wire.TaskState, hang = false): Handlers {
    const task = wire.Task.create({ taskId, name: "one", state: TASK_STATE_PAUSED });
    let gets = 0;
    return {
      plans: {
        dispatchPlan: () =>
          Promise.resolve(wire.DispatchPlanResponse.create({ planId, status: PLAN_STATUS_PAUSED, pausedTasks: 1 })),
        getPlan: () => {
          gets += 1;
          const ended = gets > 1 && !hang;
          const tasks = [{ ...task, ...(ended && { state: lastState, outcomeReason: "exit code 3" }) }];
          const status = ended ? last : PLAN_STATUS_PAUSED;
          return Promise.resolve({ plan: wire.Plan.create({ planId, name: "demo", status, tasks }) });
        },
        async *watchPlan(_request, { signal }) {
          const common = { taskId, taskName: "one" };
          yield eventOf(
            1,
            { ...common, toState: TASK_STATE_PAUSED, pauseReason: noFit, sentence: "2 cores short" },
            PLAN_STATUS_PAUSED,
          );
          if (hang) {
            await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
            return;
          }
          yield eventOf(
            2,
            { ...common, fromState: TASK_STATE_PAUSED, toState: TASK_STATE_RUNNING, agentId },
            PLAN_STATUS_PARTLY_PAUSED,
          );
          yield eventOf(3, { ...common, fromState: TASK_STATE_RUNNING, toState: lastState }, last);
        },
      },
    };
  }
  const args = ["plan", "dispatch", "-", "--watch"];

  it("prints a line an event where no terminal is, and answers 0 when the plan succeeded", async () => {
    const { code, stdout } = await run(watched(PLAN_STATUS_SUCCEEDED, TASK_STATE_SUCCEEDED), args, { stdin: planFile });
    expect(stdout.split("\n").slice(0, 4)).toEqual([
      "00:01:00Z  one     paused     no_agent_fits_now: 2 cores short",
      "00:01:00Z  one     running    on aaaa1111",
      "00:01:00Z  one     succeeded",
      "plan demo succeeded: 1 succeeded",
    ]);
    expect(code).toBe(0);
  });

  it("answers as the plan ended when the service is away right after the watch", async () => {
    const handlers = watched(PLAN_STATUS_SUCCEEDED, TASK_STATE_SUCCEEDED);
    let gets = 0;
    const getPlan: NonNullable<Handlers["plans"]>["getPlan"] = () => {
      gets += 1;
      if (gets > 1) {
        return Promise.reject(
          new HeadroomError({ code: "UNAVAILABLE", reason: "DATABASE_AWAY", message: "the database does not answer" }),
        );
      }
      const tasks = [wire.Task.create({ taskId, name: "one", state: TASK_STATE_PAUSED })];
      return Promise.resolve({ plan: wire.Plan.create({ planId, name: "demo", status: PLAN_STATUS_PAUSED, tasks }) });
    };
    const { code, stdout, stderr } = await run({ plans: { ...handlers.plans, getPlan } }, args, { stdin: planFile });
    expect(stdout).toContain("plan demo succeeded: 1 succeeded\n");
    expect(stderr).toContain(`the database does not answer; more of the plan: headroom plan get ${planId}`);
    expect(code).toBe(0);
  });

  it("answers as the plan ended where the plan is too large to be read", async () => {
    const handlers = watched(PLAN_STATUS_SUCCEEDED, TASK_STATE_SUCCEEDED);
    const tooLarge = new HeadroomError({ code: "RESOURCE_EXHAUSTED", reason: "MESSAGE_TOO_LARGE", message: "17 MiB" });
    const getPlan = () => Promise.reject(tooLarge);
    const { code, stdout, stderr } = await run({ plans: { ...handlers.plans, getPlan } }, args, { stdin: planFile });
    expect(stdout).toContain("one     running    on aaaa1111\n");
    expect(stdout).toContain(`plan ${planId} succeeded: 1 succeeded\n`);
    expect(stderr).toContain("headroom: 17 MiB");
    expect(code).toBe(0);
  });

  it("waits for a service that is away right after it has accepted the plan, and says so", async () => {
    const handlers = watched(PLAN_STATUS_SUCCEEDED, TASK_STATE_SUCCEEDED);
    const away = new HeadroomError({
      code: "UNAVAILABLE",
      reason: "DATABASE_AWAY",
      message: "the database does not answer",
      retryAfterMs: 50,
    });
    // The client asks some times before it says so.
    let asked = 0;
    const getPlan: NonNullable<Handlers["plans"]>["getPlan"] = (...call) => {
      asked += 1;
      return asked <= 6 ? Promise.reject(away) : handlers.plans!.getPlan!(...call);
    };
    const back = await run({ plans: { ...handlers.plans, getPlan } }, args, { stdin: planFile });
    expect(back.stderr).toMatch(/the database does not answer; trying again in \d+ ms/);
    expect(back.stdout).toContain("plan demo succeeded: 1 succeeded\n");
    expect(back.code).toBe(0);
    const never: Handlers = { plans: { ...handlers.plans, getPlan: () => Promise.reject(away) } };
    const over = await run(never, [...args, "--timeout", "300ms"], { stdin: planFile });
    expect(over.stderr).toContain(
      `the time to watch is over; the plan goes on\nwatch again: headroom plan watch ${planId}`,
    );
    expect(over.code).toBe(2);
  });

  it("answers 1 when the plan failed, and says where its output is", async () => {
    const { code, stdout } = await run(watched(PLAN_STATUS_FAILED, TASK_STATE_FAILED), args, { stdin: planFile });
    expect(stdout).toContain(`one failed: exit code 3; its output: headroom task logs ${taskId}`);
    expect(code).toBe(1);
  });

  it("redraws a table in a terminal", async () => {
    const options = { stdin: planFile, columns: 80 };
    const { stdout } = await run(watched(PLAN_STATUS_SUCCEEDED, TASK_STATE_SUCCEEDED), args, options);
    expect(stdout).toContain("A\u001B[J");
    expect(stdout).toMatch(/succeeded.*: 1 succeeded/);
  });

  it("prints JSON lines, and keeps the summary away from them", async () => {
    const options = { stdin: planFile };
    const { stdout, stderr } = await run(
      watched(PLAN_STATUS_SUCCEEDED, TASK_STATE_SUCCEEDED),
      [...args, "-o", "json"],
      options,
    );
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).event.to_state as string);
    expect(events).toEqual(["paused", "running", "succeeded"]);
    expect(stderr).toContain("plan demo succeeded");
  });

  it("answers 2 when the time to watch is over, and when it is interrupted", async () => {
    const over = await run(watched(PLAN_STATUS_PAUSED, TASK_STATE_PAUSED, true), [...args, "--timeout", "300ms"], {
      stdin: planFile,
    });
    expect(over.stderr).toMatch(/the time to watch is over; the plan goes on: 1 paused, some of it waits/);
    expect(over.code).toBe(2);
    const interrupt = AbortSignal.timeout(300);
    const byHand = await run(watched(PLAN_STATUS_PAUSED, TASK_STATE_PAUSED, true), args, {
      stdin: planFile,
      interrupt,
    });
    expect(byHand.stderr).toMatch(/no longer watched/);
    expect(byHand.code).toBe(2);
  });
});
