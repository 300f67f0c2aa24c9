import { wire } from "@headroom/contracts";
import { HeadroomError } from "@headroom/rpc";
import { systemPorts } from "@headroom/runtime";
import { manualPorts, waitFor } from "@headroom/testing";
import { afterEach, describe, expect, it } from "vitest";
import {
  type CliOutcome,
  type Handlers,
  runTestCli,
  startTestServices,
  type TestCliOptions,
} from "../cli.test-helper.ts";

const planId = "bbbb1111-1111-4111-8111-111111111111";
const agentId = "aaaa1111-1111-4111-8111-111111111111";

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function run(handlers: Handlers, args: readonly string[], options: TestCliOptions = {}): Promise<CliOutcome> {
  const services = await startTestServices(handlers);
  cleanups.push(() => services.stop());
  return runTestCli([...services.flags, ...args], options);
}

const at = (seconds: number) => ({ seconds, nanos: 0 });

describe("queue list", () => {
  it("shows the tasks in the order of the service, how many more there are, and who holds the queue", async () => {
    const { PAUSE_REASON_DEPENDENCY_PENDING, PAUSE_REASON_NO_AGENT_FITS_NOW } = wire.PauseReason;
    const waiting = (taskName: string, reason: wire.PauseReason) =>
      wire.PausedTask.create({ taskName, planName: "p", pause: wire.PauseInfo.create({ reason, pausedAt: at(60) }) });
    const tasks = [
      waiting("first", PAUSE_REASON_NO_AGENT_FITS_NOW),
      waiting("second", PAUSE_REASON_NO_AGENT_FITS_NOW),
      waiting("later", PAUSE_REASON_DEPENDENCY_PENDING),
    ];
    const hold = { reason: "power work", heldBy: "ana@desk-7", heldAt: at(60) };
    const { stdout, stderr } = await run(
      {
        queue: {
          listPausedTasks: () => Promise.resolve(wire.ListPausedTasksResponse.create({ tasks, totalSize: 7 })),
          getQueueStatus: () => Promise.resolve(wire.GetQueueStatusResponse.create({ registryConnected: true, hold })),
        },
      },
      ["queue", "list"],
    );
    expect(stdout.match(/later|first|second/g)).toEqual(["first", "second", "later"]);
    expect(stderr).toContain("4 more");
    expect(stderr).toMatch(/the queue is held by ana@desk-7 since 1970-01-01 00:01:00Z: power work/);
  });
});

describe("plan get", () => {
  async function shownFor(task: Partial<wire.Task>, attempt?: Partial<wire.Attempt>): Promise<string> {
    const attempts = attempt === undefined ? [] : [wire.Attempt.create({ agentId, assignedAt: at(60), ...attempt })];
    const tasks = [wire.Task.create({ name: "one", createdAt: at(30), ...task, attempts })];
    const plan = wire.Plan.create({ planId, name: "demo", tasks });
    const { stdout } = await run({ plans: { getPlan: () => Promise.resolve({ plan }) } }, ["plan", "get", planId]);
    const [, shown = ""] = /one +\w+ +\S+ +(-|\d.*? (?:ms|s|m|h)\b)/.exec(stdout) ?? [];
    return shown;
  }
  const { TASK_STATE_FAILED, TASK_STATE_CANCELLED, TASK_STATE_SUCCEEDED } = wire.TaskState;

  it("shows no time for a task that ended without a start", async () => {
    const state = TASK_STATE_FAILED;
    expect(await shownFor({ state, finishedAt: at(61) }, { finishedAt: at(61) })).toBe("-");
    expect(await shownFor({ state: TASK_STATE_CANCELLED, finishedAt: at(61) })).toBe("-");
  });

  it("shows how long a task ran, that has ended", async () => {
    const ran = { startedAt: at(62), finishedAt: at(65) };
    expect(await shownFor({ state: TASK_STATE_SUCCEEDED, finishedAt: at(65) }, ran)).toBe("3 s");
  });
});

describe("plan dispatch --fail-unsatisfiable", () => {
  it("asks for it, and says once, with its line, what can never run", async () => {
    let asked: boolean | undefined;
    const field = "plan.tasks[0].needs";
    const description = "No agent has 4,000 cores.";
    const handlers: Handlers = {
      plans: {
        dispatchPlan: (request) => {
          asked = request.failUnsatisfiable;
          return Promise.reject(
            new HeadroomError({
              code: "FAILED_PRECONDITION",
              reason: "CAN_NEVER_FIT",
              message: `${field}: ${description} Ask for less.`,
              fieldViolations: [{ field, description }],
            }),
          );
        },
      },
    };
    const stdin = "name: demo\ntasks:\n  - name: one\n    command: { argv: [node] }\n    needs: { cpu_cores: 4000 }\n";
    const { code, stderr } = await run(handlers, ["plan", "dispatch", "-", "--fail-unsatisfiable"], { stdin });
    expect(stderr).toMatch(
      /^headroom: the request cannot be met \(CAN_NEVER_FIT\)\n +- \S+:5: plan.tasks\[0\].needs: No agent has 4,000 cores.\n +Ask for less.\n$/,
    );
    expect([code, asked]).toEqual([1, true]);
  });
});

describe("plan dispatch --request-id", () => {
  it("that is none is not looked for in the file", async () => {
    const stdin = "name: demo\ntasks:\n  - name: one\n    command: { argv: [node] }\n";
    const { stderr } = await run({}, ["plan", "dispatch", "-", "--request-id", "foo"], { stdin });
    expect(stderr).toContain('\n  - --request-id: must be a valid UUID, not "foo"\n');
  });
});

describe("queue check", () => {
  it("says unknown of a fleet that cannot be asked about", async () => {
    const reason = wire.PauseReason.PAUSE_REASON_REGISTRY_UNAVAILABLE;
    const answer = wire.CheckCapacityResponse.create({ shouldPause: true, reason });
    const { stdout } = await run({ queue: { checkCapacity: () => Promise.resolve(answer) } }, ["queue", "check"]);
    expect(stdout.match(/(?<=^(?:agents online|CPU free|GPU free) +)\S+/gm)).toEqual(["unknown", "unknown", "unknown"]);
  });
});

describe("plan watch", () => {
  it("is over when its time is, also where nobody has answered yet", async () => {
    const getPlan = () => new Promise<never>(() => undefined);
    const { code, stderr } = await run({ plans: { getPlan } }, ["plan", "watch", planId, "--timeout", "300ms"]);
    expect(stderr).toContain("the time to watch is over; the plan goes on\n");
    expect(code).toBe(2);
  });

  it("tells once that a task runs", async () => {
    const { TASK_STATE_ASSIGNED, TASK_STATE_RUNNING, TASK_STATE_SUCCEEDED } = wire.TaskState;
    const steps: Partial<wire.PlanEvent>[] = [
      { kind: "TASK_ASSIGNED", toState: TASK_STATE_ASSIGNED, agentId },
      { kind: "TASK_ACCEPTED", fromState: TASK_STATE_ASSIGNED, toState: TASK_STATE_RUNNING, agentId },
      { kind: "TASK_STARTED", fromState: TASK_STATE_RUNNING, toState: TASK_STATE_RUNNING, agentId },
      { kind: "TASK_CANCEL_REQUESTED", fromState: TASK_STATE_RUNNING, toState: TASK_STATE_RUNNING },
      { kind: "TASK_SUCCEEDED", fromState: TASK_STATE_RUNNING, toState: TASK_STATE_SUCCEEDED },
    ];
    const about = { planId, taskId: planId, taskName: "one", at: at(60) };
    const { PLAN_STATUS_DISPATCHED, PLAN_STATUS_SUCCEEDED } = wire.PlanStatus;
    const handlers: Handlers = {
      plans: {
        getPlan: () =>
          Promise.resolve({ plan: wire.Plan.create({ planId, name: "demo", status: PLAN_STATUS_SUCCEEDED }) }),
        async *watchPlan() {
          for (const [index, step] of steps.entries()) {
            const status = index === steps.length - 1 ? PLAN_STATUS_SUCCEEDED : PLAN_STATUS_DISPATCHED;
            const plan = wire.Plan.create({ planId, status });
            yield { event: wire.PlanEvent.create({ eventId: index + 1, ...about, ...step }), plan };
          }
        },
      },
    };
    const { stdout } = await run(handlers, ["plan", "watch", planId]);
    expect(stdout.match(/(?<=one +)\S+/g)).toEqual(["assigned", "running", "cancel_requested", "succeeded"]);
  });

  const one = "one";
  const { TASK_STATE_PAUSED } = wire.TaskState;
  const { PAUSE_REASON_HELD, PAUSE_REASON_NO_AGENT_CAN_EVER_FIT } = wire.PauseReason;
  const paused = (reason: wire.PauseReason, sentence: string): wire.Task =>
    wire.Task.create({
      taskId: planId,
      name: one,
      state: TASK_STATE_PAUSED,
      pause: wire.PauseInfo.create({ reason, sentence }),
    });

  it("in a terminal a reason that changes without an event is read again, failures and all", async () => {
    const ports = manualPorts();
    const { PLAN_STATUS_PAUSED } = wire.PlanStatus;
    let reads = 0;
    let screen = "";
    const handlers: Handlers = {
      plans: {
        getPlan: () =>
          Promise.resolve({
            plan: wire.Plan.create({
              planId,
              name: "demo",
              status: PLAN_STATUS_PAUSED,
              tasks: [paused(PAUSE_REASON_HELD, "The queue is held.")],
            }),
          }),
        listTasks: ({ planId: asked, states }) => {
          expect([asked, states]).toEqual([planId, [TASK_STATE_PAUSED]]);
          reads += 1;
          if (reads === 1) return Promise.reject(new HeadroomError({ code: "INTERNAL", reason: "X", message: "x" }));
          const tasks = [paused(PAUSE_REASON_NO_AGENT_CAN_EVER_FIT, "4,000 cores.")];
          return Promise.resolve(wire.ListTasksResponse.create({ tasks }));
        },
        async *watchPlan(_request, { signal }) {
          yield wire.WatchPlanResponse.create({ plan: wire.Plan.create({ planId, status: PLAN_STATUS_PAUSED }) });
          await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
        },
      },
    };
    const interrupt = new AbortController();
    const ended = run(handlers, ["plan", "watch", planId], {
      columns: 120,
      // The tables' timers stand still; those of the calls do not need them.
      ports: { ...systemPorts, clock: ports.clock, timers: ports.timers },
      onStdout: (text) => void (screen = text),
      interrupt: interrupt.signal,
    });
    await waitFor(() => screen.includes("The queue is held."));
    await waitFor(async () => {
      await ports.advance(1_000);
      return screen.includes("no_agent_can_ever_fit: 4,000 cores.");
    });
    expect(reads).toBe(2);
    expect(screen).not.toContain("The queue is held.");
    interrupt.abort();
    expect((await ended).code).toBe(2);
  });
});
