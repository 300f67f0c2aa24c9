import type { wire } from "@headroom/contracts";
import { need, type Run } from "../context.ts";
import { exitCodes } from "../exit-codes.ts";
import { planIdOf } from "../ids.ts";
import { count, instant, shortId } from "../output/format.ts";
import { timeOf } from "../output/words.ts";
import { needOnce } from "../request-id.ts";
import { whoIsThis } from "../who.ts";

export interface WhyFlags {
  readonly reason: string;
  readonly by?: string;
}

/** `headroom plan hold ID` */
export function planHold(given: string, { reason, by }: WhyFlags): Run {
  return async (context) => {
    const planId = await planIdOf(context, given, "change");
    const answer = need(await context.client().plans.hold(planId, { reason, heldBy: by ?? whoIsThis() }));
    if (context.isJson) context.printJson("orchestrator", "HoldPlanResponse", answer);
    else {
      const running = (answer.plan?.counts?.running ?? 0) + (answer.plan?.counts?.assigned ?? 0);
      const rest = running === 0 ? "" : `; ${count(running, "task")} on agents ${running === 1 ? "goes" : "go"} on`;
      context.say(
        `plan ${planId} is held: ${count(answer.heldTasks, "task")} ${answer.heldTasks === 1 ? "waits" : "wait"}${rest}`,
      );
      context.say(`let it go: headroom plan release ${planId}`);
    }
    return exitCodes.done;
  };
}

/** `headroom plan release ID` */
export function planRelease(given: string, { reason, by }: WhyFlags): Run {
  return async (context) => {
    const planId = await planIdOf(context, given, "change");
    const answer = need(await context.client().plans.release(planId, { reason, releasedBy: by ?? whoIsThis() }));
    if (context.isJson) context.printJson("orchestrator", "ReleasePlanResponse", answer);
    else context.say(`plan ${planId} is not held: ${count(answer.releasedTasks, "task")} released`);
    return exitCodes.done;
  };
}

/** `headroom plan retry ID` */
export function planRetry(given: string, options: { readonly reason: string; readonly requestId?: string }): Run {
  return async (context) => {
    const planId = await planIdOf(context, given, "change");
    const requestId = options.requestId ?? context.io.ports.random.uuid();
    const answer = needOnce(
      await context
        .client()
        .plans.retry(planId, { reason: options.reason, requestId, signal: context.io.interrupted() }),
      { requestId, once: "the plan is tried again once" },
    );
    if (context.isJson) context.printJson("orchestrator", "RetryPlanResponse", answer);
    else if (answer.retriedTasks === 0) context.say(`nothing of plan ${planId} has failed: there is nothing to retry`);
    else {
      const restored = answer.restoredTasks === 0 ? "" : `, and ${answer.restoredTasks} that depend on them are back`;
      const before = answer.duplicate ? " (asked for before with this request id)" : "";
      context.say(
        `${count(answer.retriedTasks, "failed task")} of plan ${planId} ${answer.retriedTasks === 1 ? "runs" : "run"} again${restored}${before}`,
      );
      context.say(`follow it with: headroom plan watch ${shortId(planId)}`);
    }
    return exitCodes.done;
  };
}

/** " by ana@desk-7 since 2026-01-31 12:00:00Z: disk swap" */
export function holdText(hold: wire.Hold): string {
  const by = hold.heldBy === "" ? "" : ` by ${hold.heldBy}`;
  const why = hold.reason === "" ? "" : `: ${hold.reason}`;
  return `${by} since ${instant(timeOf(hold.heldAt))}${why}`;
}
