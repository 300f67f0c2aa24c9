import { wire } from "@headroom/contracts";
import { need, type CommandContext, type Run } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { planIdOf } from "../ids.ts";
import { age, amount, count, percent, shortId, span } from "../output/format.ts";
import type { Cell } from "../output/table.ts";
import { timeOf, word } from "../output/words.ts";
import { readPages, sayLeftOut } from "../pages.ts";
import { holdText } from "./plan-operate.ts";
import { needsText } from "./task.ts";

export interface QueueOptions {
  readonly reason?: wire.PauseReason;
  readonly plan?: string;
  readonly limit: number;
}

/** `headroom queue`: what waits, why, since when. As JSON: ListPausedTasksResponse. */
export function queueList(options: QueueOptions): Run {
  return async (context) => {
    const planId = options.plan === undefined ? "" : await planIdOf(context, options.plan, "read");
    const { queue } = context.client();
    const reason = options.reason === undefined ? {} : { reason: options.reason };
    const answer = await readPages(options.limit, "tasks", async (page) =>
      need(await queue.listPaused({ planId, ...reason, ...page })),
    );
    if (context.isJson) context.printJson("orchestrator", "ListPausedTasksResponse", answer);
    else printQueue(context, answer);
    sayLeftOut(context, answer.tasks.length, answer.totalSize);
    if (!context.isJson) await sayStatus(context);
    return exitCodes.done;
  };
}

function printQueue(context: CommandContext, answer: wire.ListPausedTasksResponse): void {
  if (answer.tasks.length === 0) return;
  const now = context.io.ports.clock.now();
  context.printTable(
    ["TASK", "NAME", "PLAN", "SINCE", "NEEDS", "REASON", "WHY"],
    answer.tasks.map((task): Cell[] => [
      shortId(task.taskId),
      task.taskName,
      task.planName === "" ? shortId(task.planId) : task.planName,
      age(timeOf(task.pause?.pausedAt), now),
      needsText(task.needs),
      { text: word("PauseReason", task.pause?.reason ?? 0), colour: "yellow" },
      task.pause?.sentence || "-",
    ]),
  );
}

async function sayStatus(context: CommandContext): Promise<void> {
  const status = need(await context.client().queue.status());
  if (status.hold !== undefined) context.say(`the queue is held${holdText(status.hold)}: headroom queue release`);
  const reasons = status.reasons.map(({ reason, tasks }) => `${tasks} ${word("PauseReason", reason)}`).join(", ");
  const detail = reasons === "" ? "" : ` (${reasons})`;
  context.say(
    `${count(status.waitingTasks, "task")} ${status.waitingTasks === 1 ? "waits" : "wait"}${detail}, ${count(status.runningAttempts, "task")} on agents`,
  );
  const lastPassAtMs = timeOf(status.lastPassAt);
  const pollMs = status.pollingInterval === undefined ? null : status.pollingInterval.seconds * 1_000;
  if (lastPassAtMs !== null && pollMs !== null) {
    const now = context.io.ports.clock.now();
    context.say(
      `last looked for room ${age(lastPassAtMs, now)} ago; it does so at every event, and every ${span(pollMs)}`,
    );
  }
  if (!status.registryConnected) {
    context.say("the orchestrator does not reach the registry: nothing starts until it does");
  }
}

/** `headroom queue status`: GetQueueStatus. */
export function queueStatus(): Run {
  return async (context) => {
    if (context.isJson) {
      context.printJson("orchestrator", "GetQueueStatusResponse", need(await context.client().queue.status()));
    } else await sayStatus(context);
    return exitCodes.done;
  };
}

/** `headroom queue resume`: looks for room now. */
export function queueResume(plan: string | undefined): Run {
  return async (context) => {
    const planId = plan === undefined ? "" : await planIdOf(context, plan, "change");
    const answer = need(await context.client().queue.resume(planId));
    if (context.isJson) context.printJson("orchestrator", "ResumePausedWorkResponse", answer);
    else context.say(`${count(answer.resumedTasks, "task")} resumed, ${answer.waitingTasks} still waiting`);
    return exitCodes.done;
  };
}

/** `headroom queue check`: would work be paused now, and by which figures. */
export function queueCheck(needs: Partial<wire.ResourceNeeds> | undefined): Run {
  return async (context) => {
    const answer = need(await context.client().queue.check(needs));
    if (context.isJson) {
      context.printJson("orchestrator", "CheckCapacityResponse", answer);
      return exitCodes.done;
    }
    const verdict: Cell = answer.shouldPause
      ? { text: `work is paused: ${word("PauseReason", answer.reason)}`, colour: "yellow" }
      : { text: "work is started where it fits", colour: "green" };
    context.printFacts([
      ["verdict", verdict],
      ["why", answer.sentence || "-"],
      ["threshold", `${amount(answer.threshold * 100)} % must be free on at least one agent`],
      ...fleetFacts(answer),
    ]);
    if (answer.agents.length > 0) {
      context.io.stdout.write("\n");
      context.printTable(["AGENT", "BELOW", "CPU FREE", "GPU FREE"], answer.agents.map(gateRow));
    }
    return exitCodes.done;
  };
}

/** The answer has zeros where the registry cannot be asked. */
function fleetFacts(answer: wire.CheckCapacityResponse): [string, Cell][] {
  const isUnknown = answer.reason === wire.PauseReason.PAUSE_REASON_REGISTRY_UNAVAILABLE;
  const { agentsOnline, averageCpuFreePercent: cpu, averageGpuFreePercent: gpu } = answer;
  return [
    ["agents online", isUnknown ? "unknown" : String(agentsOnline)],
    ["CPU free", isUnknown ? "unknown" : `${percent(cpu)} on average`],
    ["GPU free", isUnknown ? "unknown" : gpu === undefined ? "-" : `${percent(gpu)} on average`],
  ];
}

function gateRow(agent: wire.GateAgentVerdict): Cell[] {
  return [
    shortId(agent.agentId),
    agent.below ? { text: "yes", colour: "yellow" } : { text: "no", colour: "green" },
    percent(agent.cpuFreePercent),
    agent.gpuFreePercent === undefined ? "-" : percent(agent.gpuFreePercent),
  ];
}
