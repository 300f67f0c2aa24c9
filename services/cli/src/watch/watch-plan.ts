import { wire } from "@headroom/contracts";
import { jitter, sleep } from "@headroom/runtime";
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

/** As in the midst of a watch. */
const firstRetryMs = 1_000;

export interface WatchPlanOptions {
  /** Null: no limit. */
  readonly timeoutMs: number | null;
  /** It has just been accepted: a service that is away now is waited for, as in the midst of a watch. */
  readonly isAccepted: boolean;
}

/** Follows a plan to its end, or until the person or the time given ends it, and answers the exit code of the plan. */
export async function watchPlan(
  context: CommandContext,
  planId: string,
  { timeoutMs, isAccepted }: WatchPlanOptions,
): Promise<ExitCode> {
  const stop = new AbortController();
  const interrupted = context.io.interrupted();
  const onInterrupt = (): void => stop.abort();
  interrupted.addEventListener("abort", onInterrupt, { once: true });
  // It may have come while the plan was read.
  if (interrupted.aborted) onInterrupt();
  const timer = timeoutMs === null ? null : context.io.ports.timers.after(timeoutMs, () => stop.abort());
  const endWaiting = (): void => {
    timer?.cancel();
    interrupted.removeEventListener("abort", onInterrupt);
  };
  const plan = await firstLook(context, planId, isAccepted, stop.signal).catch((error: unknown) => {
    endWaiting();
    throw error;
  });
  if (plan === null) {
    endWaiting();
    return stillGoing(context, planId, null, interrupted.aborted);
  }
  let progress = progressOf(plan);
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
    endWaiting();
    endReasons?.();
    view.end();
  }
  if (stop.signal.aborted) return stillGoing(context, planId, progress, interrupted.aborted);
  return summary(context, planId, plan.name, progress);
}

/** Null: the watch was ended before anybody answered. */
async function firstLook(
  context: CommandContext,
  planId: string,
  isAccepted: boolean,
  signal: AbortSignal,
): Promise<wire.Plan | null> {
  const { random, timers } = context.io.ports;
  for (;;) {
    const answer = await context.client().plans.get(planId, { signal });
    if (answer.kind === "error" && signal.aborted) return null;
    if (answer.kind === "ok") return answer.value;
    // Its events tell of its tasks too, one by one; where they cannot be read either, the watch says so.
    if (answer.error.reason === "MESSAGE_TOO_LARGE") {
      context.say(`headroom: ${answer.error.message}; only what happens from now on is shown`);
      return wire.Plan.create({ planId, name: planId });
    }
    if (!isAccepted || !isPassing(answer.error)) return need(answer);
    const retryInMs = Math.round(jitter(random, answer.error.retryAfterMs ?? firstRetryMs, 0.25));
    context.say(`headroom: ${answer.error.message}; trying again in ${span(retryInMs)}`);
    await sleep(timers, retryInMs, signal).catch(() => undefined);
  }
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

function stillGoing(context: CommandContext, planId: string, progress: PlanProgress | null, byHand: boolean): ExitCode {
  const why = byHand ? "no longer watched" : "the time to watch is over";
  const waits = progress !== null && isWaiting(progress) ? ", some of it waits for capacity" : "";
  const counts = progress === null ? "" : `: ${countsText(progress)}${waits}`;
  context.say(`${why}; the plan goes on${counts}`);
  context.say(`watch again: headroom plan watch ${planId}    stop it: headroom plan cancel ${planId}`);
  return exitCodes.waiting;
}

async function summary(context: CommandContext, planId: string, name: string, last: PlanProgress): Promise<ExitCode> {
  const say = context.isJson ? context.say : (line: string) => context.io.stdout.write(`${printable(line)}\n`);
  const answer = await context.client().plans.get(planId);
  // The watch has told how it ended; only the details are missing.
  if (answer.kind === "error" && endStatuses.has(last.status)) {
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
