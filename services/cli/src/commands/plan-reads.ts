import { wire } from "@headroom/contracts";
import { need, type CommandContext, type Run } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { planIdOf } from "../ids.ts";
import { colourOfState } from "../output/colour.ts";
import { age, instant, shortId } from "../output/format.ts";
import type { Cell } from "../output/table.ts";
import { timeOf, word } from "../output/words.ts";
import { mostRows, readPages } from "../pages.ts";
import { holdText } from "./plan-operate.ts";
import { attemptSinceMs } from "../watch/progress.ts";

/** `headroom plan get ID` */
export function planGet(given: string): Run {
  return async (context) => {
    const plan = need(await context.client().plans.get(await planIdOf(context, given, "read")));
    if (context.isJson) context.printJson("orchestrator", "GetPlanResponse", { plan });
    else printPlan(context, plan);
    return exitCodes.done;
  };
}

export interface PlanListOptions {
  readonly status: readonly wire.PlanStatus[];
  readonly name?: string;
  readonly limit: number;
}

/** `headroom plan list` */
export function planList(options: PlanListOptions): Run {
  return async (context) => {
    const { plans } = context.client();
    const answer = await readPages(options.limit, "plans", async (page) =>
      need(await plans.list({ statuses: [...options.status], name: options.name ?? "", ...page })),
    );
    if (context.isJson) context.printJson("orchestrator", "ListPlansResponse", answer);
    else if (answer.plans.length === 0) context.say("no plans; hand one over with: headroom plan dispatch FILE.yaml");
    else {
      const now = context.io.ports.clock.now();
      context.printTable(
        ["PLAN", "NAME", "STATUS", "AGE", "TASKS", "DONE", "RUN", "WAIT", "FAILED", "CANCELLED"],
        answer.plans.map((plan) => planRow(plan, now)),
      );
    }
    if (answer.nextPageToken !== "") context.say(`there are older ones; --limit shows up to ${mostRows}`);
    return exitCodes.done;
  };
}

function planRow(plan: wire.Plan, nowMs: number): Cell[] {
  const status = word("PlanStatus", plan.status);
  const counts = plan.counts ?? wire.TaskCounts.create();
  return [
    shortId(plan.planId),
    plan.name,
    { text: status, colour: colourOfState(status) },
    age(timeOf(plan.createdAt), nowMs),
    String(counts.total),
    String(counts.succeeded),
    String(counts.running + counts.assigned),
    String(counts.paused + counts.pending + counts.lost),
    String(counts.failed),
    String(counts.cancelled),
  ];
}

/** `headroom plan cancel ID` */
export function planCancel(given: string, reason: string): Run {
  return async (context) => {
    const plan = need(await context.client().plans.cancel(await planIdOf(context, given, "change"), reason));
    if (context.isJson) context.printJson("orchestrator", "CancelPlanResponse", { plan });
    else context.say(`plan ${plan.planId} (${plan.name}) ${cancelText(plan)}`);
    return endedByItself(plan) ? exitCodes.error : exitCodes.done;
  };
}

/** It had ended when it was to be cancelled: the service answers such a plan as it is, and does not mark it. */
function endedByItself({ status, cancelRequested }: wire.Plan): boolean {
  const { PLAN_STATUS_SUCCEEDED, PLAN_STATUS_FAILED } = wire.PlanStatus;
  return status === PLAN_STATUS_SUCCEEDED || (status === PLAN_STATUS_FAILED && !cancelRequested);
}

function cancelText(plan: wire.Plan): string {
  const status = word("PlanStatus", plan.status);
  if (endedByItself(plan)) return `has ${status} already`;
  // Of a plan that has failed tasks the status says so, whoever cancelled the others.
  if (status === "failed") return "has failed tasks; what had not ended of it is cancelled";
  const running = (plan.counts?.running ?? 0) + (plan.counts?.assigned ?? 0);
  return `is cancelled${running === 0 ? "" : `; ${running} still running are being ended`}`;
}

/** Plan and tasks as people read them. */
export function printPlan(context: CommandContext, plan: wire.Plan): void {
  const now = context.io.ports.clock.now();
  const status = word("PlanStatus", plan.status);
  const finishedAtMs = timeOf(plan.finishedAt);
  const facts: [string, Cell][] = [
    ["plan", plan.planId],
    ["name", plan.name],
    ["status", { text: status, colour: colourOfState(status) }],
    ["accepted", `${instant(timeOf(plan.createdAt))} (${age(timeOf(plan.createdAt), now)} ago)`],
  ];
  if (finishedAtMs !== null) facts.push(["finished", instant(finishedAtMs)]);
  if (plan.priority !== 0) facts.push(["priority", String(plan.priority)]);
  if (plan.hold !== undefined) facts.push(["held", { text: `yes${holdText(plan.hold)}`, colour: "yellow" }]);
  if (plan.cancelRequested) facts.push(["cancel", "asked for"]);
  context.printFacts(facts);
  if (plan.tasks.length === 0) return;
  context.io.stdout.write("\n");
  context.printTable(
    ["TASK", "NAME", "STATE", "AGENT", "FOR", "WHY"],
    plan.tasks.map((task) => taskRow(task, now)),
  );
}

function taskRow(task: wire.Task, nowMs: number): Cell[] {
  const state = word("TaskState", task.state);
  const attempt = task.attempts[0];
  const waiting = task.pause;
  return [
    shortId(task.taskId),
    task.name,
    { text: state, colour: colourOfState(state) },
    waiting === undefined && attempt !== undefined ? shortId(attempt.agentId) : "-",
    waiting === undefined ? tookOf(task, nowMs) : age(timeOf(waiting.pausedAt), nowMs),
    waiting === undefined ? (state === "succeeded" ? "" : task.outcomeReason) : waitsFor(waiting),
  ];
}

/** How long the newest run took, or has been on its agent so far; "-" when it ended without a start. */
function tookOf(task: wire.Task, nowMs: number): string {
  const attempt = task.attempts[0];
  const endedAtMs = timeOf(attempt?.finishedAt) ?? timeOf(task.finishedAt);
  if (endedAtMs === null) return age(attemptSinceMs(attempt), nowMs);
  return age(timeOf(attempt?.startedAt), endedAtMs);
}

/** Why a task waits: the sentence, else the reason's word. */
export function waitsFor(pause: wire.PauseInfo): string {
  const reason = word("PauseReason", pause.reason);
  return pause.sentence === "" ? reason : `${reason}: ${pause.sentence}`;
}
