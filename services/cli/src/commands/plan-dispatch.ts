import { wire } from "@headroom/contracts";
import type { CommandContext, Run } from "../context.ts";
import { CliError } from "../errors/cli-error.ts";
import { exitCodes } from "../exit-codes.ts";
import { planIdOf } from "../ids.ts";
import { colourOfState } from "../output/colour.ts";
import { count, shortId } from "../output/format.ts";
import type { Cell } from "../output/table.ts";
import { word } from "../output/words.ts";
import { parseDuration } from "../plan-file/duration.ts";
import { loadPlan } from "../plan-file/load-plan.ts";
import { needOnce } from "../request-id.ts";
import { watchPlan } from "../watch/watch-plan.ts";

export interface PlanDispatchOptions {
  readonly watch: boolean;
  /** Of the watch, as `5m`. */
  readonly timeout?: string;
  /** Made here when it is not given. */
  readonly requestId?: string;
  /** Refuse the plan when some task could never run on any agent known. */
  readonly failUnsatisfiable: boolean;
}

/** `headroom plan dispatch FILE` */
export function planDispatch(file: string, options: PlanDispatchOptions): Run {
  return async (context) => {
    const timeoutMs = readTimeout(options.timeout);
    if (timeoutMs !== null && !options.watch) {
      throw new CliError({
        message: "--timeout ends a watch, and nothing is watched: add --watch, or leave --timeout out",
        reason: "INVALID_OPTION",
      });
    }
    const { plan, describeField } = await loadPlan(file, context.io);
    const requestId = options.requestId ?? context.io.ports.random.uuid();
    const answer = needOnce(
      await context.client().plans.dispatch(plan, {
        failUnsatisfiable: options.failUnsatisfiable,
        requestId,
        // Who gives up waiting is told the id too.
        signal: context.io.interrupted(),
      }),
      { requestId, once: "the plan is accepted once", describeField },
    );
    if (options.watch) {
      context.say(`plan ${answer.planId} (${plan.name}) is accepted: ${outcomeText(answer)}`);
      return watchPlan(context, answer.planId, { timeoutMs, isAccepted: true });
    }
    if (context.isJson) context.printJson("orchestrator", "DispatchPlanResponse", answer);
    else printAnswer(context, plan.name, answer);
    return waitsForCapacity(answer) ? exitCodes.waiting : exitCodes.done;
  };
}

/** `headroom plan watch ID` */
export function planWatch(given: string, timeout: string | undefined): Run {
  return async (context) => {
    const planId = await planIdOf(context, given, "read");
    return watchPlan(context, planId, { timeoutMs: readTimeout(timeout), isAccepted: false });
  };
}

function readTimeout(text: string | undefined): number | null {
  if (text === undefined) return null;
  const ms = parseDuration(text);
  if (ms !== null && ms > 0) return ms;
  throw new CliError({ message: `--timeout ${text} is no duration: write 90s, 5m or 2h`, reason: "INVALID_OPTION" });
}

/** What waits because its author said so (its turn in the plan, its time) does not wait for capacity. */
const AS_PLANNED: ReadonlySet<wire.PauseReason> = new Set<wire.PauseReason>([
  wire.PauseReason.PAUSE_REASON_UNSPECIFIED,
  wire.PauseReason.PAUSE_REASON_DEPENDENCY_PENDING,
  wire.PauseReason.PAUSE_REASON_RESUME_AFTER,
]);

function waitsForCapacity(answer: wire.DispatchPlanResponse): boolean {
  return answer.tasks.some((task) => !AS_PLANNED.has(task.pauseReason));
}

function outcomeText(answer: wire.DispatchPlanResponse): string {
  const parts = [`${count(answer.dispatchedTasks, "task")} given to agents`];
  if (answer.pausedTasks > 0) parts.push(`${answer.pausedTasks} waiting`);
  if (answer.duplicate) parts.push("handed over before with this request id");
  return `${word("PlanStatus", answer.status)}, ${parts.join(", ")}`;
}

function printAnswer(context: CommandContext, name: string, answer: wire.DispatchPlanResponse): void {
  const status = word("PlanStatus", answer.status);
  context.printFacts([
    ["plan", answer.planId],
    ["name", name],
    ["status", { text: status, colour: colourOfState(status) }],
  ]);
  context.io.stdout.write("\n");
  context.printTable(["TASK", "NAME", "STATE", "AGENT", "WHY"], answer.tasks.map(taskRow));
  context.say(`${outcomeText(answer)}; follow it with: headroom plan watch ${shortId(answer.planId)}`);
}

function taskRow(task: wire.DispatchedTask): Cell[] {
  const state = word("TaskState", task.state);
  const reason = word("PauseReason", task.pauseReason);
  const why = [reason, task.sentence].filter((part) => part !== "").join(": ");
  return [
    shortId(task.taskId),
    task.name,
    { text: state, colour: colourOfState(state) },
    task.agentId === "" ? "-" : shortId(task.agentId),
    why,
  ];
}
