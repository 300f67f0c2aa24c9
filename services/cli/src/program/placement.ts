import type { Command } from "commander";
import { placementInspect } from "../commands/placement-inspect.ts";
import { wholeNumber } from "../options.ts";
import type { ProgramContext } from "../program.ts";

/** `placement …` */
export function addPlacementCommands(program: Command, { run }: ProgramContext): void {
  const placement = program.command("placement").description("how agents are chosen for tasks");
  placement
    .command("inspect", { isDefault: true })
    .description("the policy in force, what it has learned of the tasks that come, and what it makes of it")
    .option("--limit <n>", "rows of each table at most", wholeNumber(1, 512), 10)
    .action((flags: { limit: number }) => run(placementInspect(flags)));
}
