import { type Command, Option } from "commander";
import { capacityExplain, type ExplainOptions, mostExplained } from "../commands/capacity-explain.ts";
import { capacityPools } from "../commands/capacity-pools.ts";
import { capacityGet, capacityList, type CapacityOptions } from "../commands/capacity.ts";
import { CliError } from "../errors/cli-error.ts";
import { exitCodeHelp } from "../exit-codes.ts";
import { collect, collectPairs, numberFrom, wholeNumber } from "../options.ts";
import { mostRows } from "../pages.ts";
import type { ProgramContext } from "../program.ts";

type ListFlags = CapacityOptions & { readonly pools?: boolean };

const examples = `
\`list\` may be left out; headroom capacity list --help tells its options. An agent is its id, the first characters of it (four at least),
or its host name:
  headroom capacity                              where is room for a task of one core
  headroom capacity --min-gpu-vram-gb 8          where are 8 GiB of VRAM free
  headroom capacity desk-7                       one agent
  headroom capacity --pools                      how full is each pool
  headroom capacity explain --gpu-vram-gb 8      is there room for a task with such needs, and when`;

/** `capacity …` */
export function addCapacityCommands(program: Command, context: ProgramContext): void {
  const capacity = program
    .command("capacity")
    .description("where is room, how full is each pool, is there room for a task: list, explain")
    .addHelpText("after", examples);
  addList(capacity, context);
  addExplain(capacity, context);
}

function addList(capacity: Command, { run }: ProgramContext): void {
  capacity
    .command("list [agent]", { isDefault: true })
    .description("where is room: the online desktops that meet all constraints, or one agent, or pool by pool")
    .option("--min-gpu-vram-gb <n>", "VRAM free, summed over the cards", numberFrom(0, "GiB"))
    .option("--min-cpu-cores <n>", "CPU cores free, 1 or more (default 1)", numberFrom(1, "cores"))
    .option("--min-memory-gb <n>", "memory free", numberFrom(0, "GiB"))
    .option("--min-gpu-vram-per-card-gb <n>", "VRAM free on one card", numberFrom(0, "GiB"))
    .option("--min-gpu-count <n>", "cards", wholeNumber(0, 64))
    .option("--max-gpu-vram-gb <n>", "VRAM free at most", numberFrom(0, "GiB"))
    .option("--max-cpu-cores <n>", "CPU cores free at most", numberFrom(0, "cores"))
    .option("--max-memory-gb <n>", "memory free at most", numberFrom(0, "GiB"))
    .option("--gpu-model <name>", "a part of the card's model; may be repeated", collect)
    .option("--label <key=value>", "label of the agent; may be repeated", collectPairs)
    .option("--pool <name>", "only this pool")
    .option(
      "--sort <field>",
      "vram, cpu, memory, load, host, agent, pool_name, timestamp, cpu_cores_physical, memory_total_gb or gpu_vram_total_gb; `:asc` and `:desc` behind it",
    )
    .addOption(
      new Option("--pools", "the sums of each pool, in place of the agents; goes with --pool and --limit").conflicts([
        ...["minGpuVramGb", "minCpuCores", "minMemoryGb", "minGpuVramPerCardGb", "minGpuCount"],
        ...["maxGpuVramGb", "maxCpuCores", "maxMemoryGb", "gpuModel", "label", "sort"],
      ]),
    )
    .option("--limit <n>", "rows at most (default: 100 agents, all pools)", wholeNumber(1, mostRows))
    .action((agent: string | undefined, { pools = false, ...options }: ListFlags) => {
      if (pools && agent !== undefined) throw poolsOfOne(agent);
      if (pools) return run(capacityPools(options));
      return run(agent === undefined ? capacityList(options) : capacityGet(agent));
    });
}

function poolsOfOne(agent: string): CliError {
  return new CliError({
    message: `--pools shows the sums of pools, and ${JSON.stringify(agent)} names one agent`,
    reason: "AGENT_WITH_POOLS",
    wayOut: `headroom capacity --pools, or headroom capacity ${agent}`,
  });
}

function addExplain(capacity: Command, { run }: ProgramContext): void {
  capacity
    .command("explain")
    .description(
      "is there room for a task with these needs: now, later or never, why not, agent by agent, and when; nothing is promised",
    )
    .option("--cpu-cores <n>", "CPU cores (default 1)", numberFrom(0, "cores"))
    .option("--memory-gb <n>", "memory; left out: not judged", numberFrom(0, "GiB"))
    .option("--gpu-count <n>", "cards (default 1 where VRAM, whole cards or a model is asked for)", wholeNumber(0, 64))
    .option("--gpu-vram-gb <n>", "VRAM on each card", numberFrom(0, "GiB"))
    .option("--gpu-exclusive", "whole cards; the default where cards are asked for without VRAM")
    .option("--no-gpu-exclusive", "cards that are shared with other tasks")
    .option("--gpu-model <name>", "a part of the card's model that will do; may be repeated", collect)
    .option("--label <key=value>", "label that the agent must carry; may be repeated", collectPairs)
    .option("--pool <name>", "pool that the agent must belong to")
    .option("--agent <agent>", "this agent and no other: its id, the first characters of it, or its host name")
    .option("--limit <n>", "agents at most, the nearest misses first", wholeNumber(1, mostExplained), 20)
    .addHelpText("after", exitCodeHelp)
    .action((options: ExplainOptions) => run(capacityExplain(options)));
}
