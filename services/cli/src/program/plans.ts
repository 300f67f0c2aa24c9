import type { wire } from "@headroom/contracts";
import { type Command, Option } from "commander";
import { planDispatch, planWatch } from "../commands/plan-dispatch.ts";
import { planHistory } from "../commands/plan-history.ts";
import { planHold, planRelease, planRetry, type WhyFlags } from "../commands/plan-operate.ts";
import { planPreview } from "../commands/plan-preview.ts";
import { planCancel, planGet, planList } from "../commands/plan-reads.ts";
import { taskCancel, taskExplain, taskGet } from "../commands/task.ts";
import { taskLogs } from "../commands/task-logs.ts";
import { exitCodeHelp } from "../exit-codes.ts";
import { enumListOption, wholeNumber } from "../options.ts";
import { wordsOf } from "../output/words.ts";
import { mostRows } from "../pages.ts";
import { planFileHelp } from "../plan-file/plan-help.ts";
import type { ProgramContext } from "../program.ts";

interface DispatchFlags {
  watch?: boolean;
  timeout?: string;
  requestId?: string;
  failUnsatisfiable?: boolean;
}

interface ListFlags {
  status?: wire.PlanStatus[];
  name?: string;
  limit: number;
}

/** `plan …` and `task …`. */
export function addPlanCommands(program: Command, context: ProgramContext): void {
  addPlan(
    program
      .command("plan")
      .description("plans: dispatch, preview, watch, get, list, history, hold, release, retry, cancel"),
    context,
  );
  addTask(program.command("task").description("single tasks: get, logs, cancel, explain"), context);
}

function addPlan(plan: Command, { run }: ProgramContext): void {
  plan
    .command("dispatch <file>")
    .description('hand a plan over: FILE.yaml, or "-" for stdin')
    .option("--watch", "follow it to its end")
    .option("--timeout <duration>", "with --watch: end the watch (not the plan) after this time, such as 5m")
    .option("--request-id <uuid>", "makes it safe to run the same command again: the plan is accepted once")
    .option("--fail-unsatisfiable", "refuse the plan when some task could never run on any agent known")
    .addHelpText("after", planFileHelp)
    .addHelpText("after", exitCodeHelp)
    .action((file: string, flags: DispatchFlags) =>
      run(
        planDispatch(file, {
          watch: flags.watch ?? false,
          failUnsatisfiable: flags.failUnsatisfiable ?? false,
          ...(flags.timeout !== undefined && { timeout: flags.timeout }),
          ...(flags.requestId !== undefined && { requestId: flags.requestId }),
        }),
      ),
    );
  plan
    .command("preview <file>")
    .description("what would run where, what would wait and why, if it were handed over now; nothing is kept")
    .addHelpText("after", planFileHelp)
    .action((file: string) => run(planPreview(file)));
  plan
    .command("watch <plan>")
    .description("follow a plan from its first event to its end")
    .option("--timeout <duration>", "end the watch (not the plan) after this time, such as 5m")
    .action((id: string, flags: { timeout?: string }) => run(planWatch(id, flags.timeout)));
  plan
    .command("get <plan>")
    .description("one plan with its tasks; by its id or the first characters of it")
    .action((id: string) => run(planGet(id)));
  const words = wordsOf("PlanStatus");
  plan
    .command("list")
    .description("plans, the newest first")
    .addOption(
      new Option("--status <status>", `only ${words.join(", ")}; may be repeated`).argParser(
        enumListOption("headroom.orchestrator.v1.PlanStatus", words),
      ),
    )
    .option("--name <name>", "only plans of this name")
    .option("--limit <n>", "rows at most", wholeNumber(1, mostRows), 50)
    .action((flags: ListFlags) => run(planList({ ...flags, status: flags.status ?? [] })));
  plan
    .command("history <plan>")
    .description("every step of a plan and its tasks, the oldest first, with who caused it")
    .option("--task <task>", "only of this task: its id, its first characters, or its name in the plan")
    .option("--limit <n>", "rows at most, the newest", wholeNumber(1, mostRows), 1_000)
    .action((id: string, flags: { task?: string; limit: number }) => run(planHistory(id, flags)));
  plan
    .command("hold <plan>")
    .description("keep its waiting tasks from starting, until released; what runs goes on")
    .option("--reason <text>", "why, for people", "")
    .option("--by <name>", "who, for people; left out: you at this machine")
    .action((id: string, flags: WhyFlags) => run(planHold(id, flags)));
  plan
    .command("release <plan>")
    .description("end a hold")
    .option("--reason <text>", "why, for people", "")
    .option("--by <name>", "who, for people; left out: you at this machine")
    .action((id: string, flags: WhyFlags) => run(planRelease(id, flags)));
  plan
    .command("retry <plan>")
    .description("run what failed again, and what was cancelled because of it")
    .option("--reason <text>", "why, for people", "")
    .option("--request-id <uuid>", "makes it safe to run the same command again: the plan is tried again once")
    .action((id: string, flags: { reason: string; requestId?: string }) => run(planRetry(id, flags)));
  plan
    .command("cancel <plan>")
    .description("cancel what has not ended of a plan")
    .option("--reason <text>", "why, for people", "")
    .action((id: string, flags: { reason: string }) => run(planCancel(id, flags.reason)));
}

function addTask(task: Command, { run }: ProgramContext): void {
  task
    .command("get <task>")
    .description("one task with its runs; by its id or the first characters of it, or as PLAN/NAME")
    .action((id: string) => run(taskGet(id)));
  task
    .command("logs <task>")
    .description(
      "what the newest run of a task wrote, stdout on stdout and stderr on stderr; of a task as task get takes it",
    )
    .option("-f, --follow", "go on until the run has ended")
    .option("--attempt <uuid>", "another run")
    .action((id: string, flags: { follow?: boolean; attempt?: string }) =>
      run(
        taskLogs(id, { follow: flags.follow ?? false, ...(flags.attempt !== undefined && { attempt: flags.attempt }) }),
      ),
    );
  task
    .command("cancel <task>")
    .description("cancel one task")
    .option("--reason <text>", "why, for people", "")
    .action((id: string, flags: { reason: string }) => run(taskCancel(id, flags.reason)));
  task
    .command("explain <task>")
    .description("why a task does not run, agent by agent")
    .action((id: string) => run(taskExplain(id)));
}
