import type { Command } from "commander";
import { simulatePlacement, SIMULATED_POLICIES, type SimulateFlags } from "../commands/simulate.ts";
import { collect, numberFrom, shareUpTo, wholeNumber } from "../options.ts";
import type { ProgramContext } from "../program.ts";

const help = `
Files:
  CSV   nodes: cpu_milli, memory_mib, gpu, model; tasks: cpu_milli, memory_mib, num_gpu, gpu_milli (of 1000 parts of
        one card, where num_gpu is 1), gpu_spec (models, "|" between). Other columns are left alone.
  JSON  nodes: headroom agents list -o json (desktops, as if nothing ran there)
        tasks: headroom plan get PLAN -o json, or a list of such answers; headroom queue list -o json; {"tasks": [{"needs": {…}}]};
        or all that has come, as far as the registry has learned it: headroom placement inspect --limit 512 -o json
        Pools, labels and models are respected.

Tasks come one by one in random order, again and again, and stay; one that does not fit is skipped.
`;

/** `simulate` */
export function addSimulateCommand(program: Command, { run }: ProgramContext): void {
  program
    .command("simulate")
    .description("try placement policies on a fleet and its tasks, without touching anything")
    .requiredOption("--nodes <file>", "the machines")
    .requiredOption("--tasks <file>", "the tasks")
    .option(
      "--policy <names>",
      `${SIMULATED_POLICIES.join(", ")}; may be repeated (default: stranded, as a registry has it that is not told otherwise)`,
      collect,
    )
    .option("--seed <n>", "orders the tasks, and the machines where they tie", wholeNumber(0, 2 ** 31 - 1), 42)
    .option("--runs <n>", "runs with one seed after the other; figures are means", wholeNumber(1, 1_000), 1)
    .option(
      "--until <share>",
      "stop when so much VRAM has been asked for, of what the fleet has",
      numberFrom(0.01, "fleets"),
      1.3,
    )
    .option(
      "--threshold <share>",
      "of the gate, 0 to 1: tasks are held back while every machine has less free",
      shareUpTo(1),
      0,
    )
    .option("--curve", "print allocated against requested, percent by percent")
    .addHelpText("after", help)
    .action((flags: SimulateFlags) => run(simulatePlacement(flags)));
}
