import { wire } from "@headroom/contracts";
import { need, type CommandContext } from "../context.ts";
import { cliErrorOf, isPassing } from "../errors/cli-error.ts";
import { type ExitCode, exitCodes } from "../exit-codes.ts";
import { span } from "../output/format.ts";
import { printable } from "../output/printable.ts";
import { jsonOf, timeOf, word } from "../output/words.ts";
import { linesView } from "./lines.ts";
import { liveView } from "./live.ts";
import { afterEvent, countsText, isWaiting, progressOf, type PlanProgress } from "./progress.ts";
import { keepReasons } from "./reasons.ts";
import type { WatchView } from "./view.ts";

/** Follows a plan to its end, or until the person or the time given ends it, and answers the exit code of the plan. */
export async function watchPlan(context: CommandContext, planId: string, timeoutMs: number | null): Promise<ExitCode> {
  const plan = need(await context.client().plans.get(planId));
  let progress = progressOf(plan);
  const stop = new AbortController();
  const interrupted = context.io.interrupted();
  const onInterrupt = (): void => stop.abort();
  interrupted.addEventListener("abort", onInterrupt, { once: true });
  // It may have come while the plan was read.
  if (interrupted.aborted) onInterrupt();
  const timer = timeoutMs === null ? null : context.io.ports.timers.after(timeoutMs, () => stop.abort());
  const view = viewFor(context, plan, progress);
  const endReasons =
    view.refresh === null
      ? null
      : keepReasons({
          ports: context.io.ports,
          read: (pageToken) => readPaused(context, planId, pageToken, stop.signal),
          progress: () => progress,
          onNews(next) {
            progress = next;
            view.refresh?.(next);
          },
        });
  try {
    for await (const item of context.client().plans.watch(planId, { signal: stop.signal })) {
      if (item.kind === "failed") throw cliErrorOf(item.error);
      if (item.kind === "item") {
        progress = afterEvent(progress, item.value);
        view.show(progress, item.value);
        await context.io.stdout.room(stop.signal);
      } else view.note(`${item.error.message}; trying again in ${span(item.retryInMs)}`);
    }
  } finally {
    timer?.cancel();
    endReasons?.();
    interrupted.removeEventListener("abort", onInterrupt);
    view.end();
  }
  if (stop.signal.aborted) return stillGoing(context, planId, progress, interrupted.aborted);
  return summary(context, planId, plan.name, progress);
}

function readPaused(context: CommandContext, planId: string, pageToken: string, signal: AbortSignal) {
  const states = [wire.TaskState.TASK_STATE_PAUSED];
  return context.client().tasks.list({ planId, states, pageSize: 1_000, pageToken }, { signal });
}

function viewFor(context: CommandContext, plan: wire.Plan, first: PlanProgress): WatchView {
  const { io, paint } = context;
  if (context.isJson) {
    return {
      show: (_progress, message) =>
        io.stdout.write(`${JSON.stringify(jsonOf("orchestrator", "WatchPlanResponse", message))}\n`),
      refresh: null,
      note: (line) => context.say(`headroom: ${line}`),
      end: () => undefined,
    };
  }
  if (!io.stdout.isTTY || io.env["TERM"] === "dumb") return linesView(io.stdout, paint);
  return liveView({ output: io.stdout, paint, ports: io.ports, title: plan.name, first });
}

function stillGoing(context: CommandContext, planId: string, progress: PlanProgress, byHand: boolean): ExitCode {
  const why = byHand ? "no longer watched" : "the time to watch is over";
  const waits = isWaiting(progress) ? ", some of it waits for capacity" : "";
  context.say(`${why}; the plan goes on: ${countsText(progress)}${waits}`);
  context.say(`watch again: headroom plan watch ${planId}    stop it: headroom plan cancel ${planId}`);
  return exitCodes.waiting;
}

async function summary(context: CommandContext, planId: string, name: string, last: PlanProgress): Promise<ExitCode> {
  const say = context.isJson ? context.say : (line: string) => context.io.stdout.write(`${printable(line)}\n`);
  const answer = await context.client().plans.get(planId);
  // The watch has told how it ended; only the details are missing.
  if (answer.kind === "error" && isPassing(answer.error) && endStatuses.has(last.status)) {
    say(`plan ${name} ${last.status}: ${countsText(last)}`);
    context.say(`headroom: ${answer.error.message}; more of the plan: headroom plan get ${planId}`);
    return codeOf(last.status);
  }
  const plan = need(answer);
  const status = word("PlanStatus", plan.status);
  const startedAtMs = timeOf(plan.createdAt);
  const finishedAtMs = timeOf(plan.finishedAt);
  const took = startedAtMs === null || finishedAtMs === null ? "" : ` in ${span(finishedAtMs - startedAtMs)}`;
  say(`plan ${plan.name} ${status}${took}: ${countsText(progressOf(plan))}`);
  for (const task of plan.tasks.filter((each) => word("TaskState", each.state) === "failed").slice(0, 10)) {
    say(`  ${task.name} failed: ${task.outcomeReason}; its output: headroom task logs ${task.taskId}`);
  }
  return codeOf(status);
}

const endStatuses: ReadonlySet<string> = new Set(["succeeded", "failed", "cancelled"]);

const codeOf = (status: string): ExitCode => (status === "succeeded" ? exitCodes.done : exitCodes.error);
