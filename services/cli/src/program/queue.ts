import type { wire } from "@headroom/contracts";
import { type Command, Option } from "commander";
import type { WhyFlags } from "../commands/plan-operate.ts";
import { mostQueueEvents, queueHistory, queueHold, queueRelease } from "../commands/queue-operate.ts";
import { queueCheck, queueList, queueResume, queueStatus } from "../commands/queue.ts";
import { enumOption, numberFrom, wholeNumber } from "../options.ts";
import { wordsOf } from "../output/words.ts";
import { mostRows } from "../pages.ts";
import type { ProgramContext } from "../program.ts";

interface CheckFlags {
  cpuCores?: number;
  gpuVramGb?: number;
}

/** `queue …` */
export function addQueueCommands(program: Command, { run }: ProgramContext): void {
  const queue = program
    .command("queue")
    .description("what waits, why, and since when: list, status, hold, release, history, resume, check");
  const words = wordsOf("PauseReason");
  queue
    .command("list", { isDefault: true })
    .description("the tasks that wait, in the order in which they are tried; last those that are not tried yet")
    .addOption(
      new Option("--reason <reason>", `only those that wait for: ${words.join(", ")}`).argParser(
        enumOption("headroom.orchestrator.v1.PauseReason", words),
      ),
    )
    .option("--plan <plan>", "only tasks of this plan")
    .option("--limit <n>", "rows at most", wholeNumber(1, mostRows), 100)
    .action((flags: { reason?: wire.PauseReason; plan?: string; limit: number }) => run(queueList(flags)));
  queue
    .command("status")
    .description("how much waits, at a glance")
    .action(() => run(queueStatus()));
  queue
    .command("hold")
    .description("keep everything that waits, and what comes, from starting, until released; what runs goes on")
    .option("--reason <text>", "why, for people", "")
    .option("--by <name>", "who, for people; left out: you at this machine")
    .action((flags: WhyFlags) => run(queueHold(flags)));
  queue
    .command("release")
    .description("end a hold of the queue")
    .option("--reason <text>", "why, for people", "")
    .option("--by <name>", "who, for people; left out: you at this machine")
    .action((flags: WhyFlags) => run(queueRelease(flags)));
  queue
    .command("history")
    .description("who held and released the queue, the newest first")
    .option("--limit <n>", "rows at most", wholeNumber(1, mostQueueEvents), 50)
    .action((flags: { limit: number }) => run(queueHistory(flags.limit)));
  queue
    .command("resume")
    .description("look for room now, as the loop does by itself")
    .option("--plan <plan>", "only for tasks of this plan")
    .action((flags: { plan?: string }) => run(queueResume(flags.plan)));
  queue
    .command("check")
    .description("whether work would be paused now, with the figures that decide it")
    .option("--cpu-cores <n>", "judge for a task of so many cores", numberFrom(0, "cores"))
    .option("--gpu-vram-gb <n>", "judge for a task of so much VRAM", numberFrom(0, "GiB"))
    .action((flags: CheckFlags) => run(queueCheck(needsOf(flags))));
}

function needsOf(flags: CheckFlags): Partial<wire.ResourceNeeds> | undefined {
  if (flags.cpuCores === undefined && flags.gpuVramGb === undefined) return undefined;
  return {
    ...(flags.cpuCores !== undefined && { cpuCores: flags.cpuCores }),
    ...(flags.gpuVramGb !== undefined && { gpuVramGb: flags.gpuVramGb }),
  };
}
