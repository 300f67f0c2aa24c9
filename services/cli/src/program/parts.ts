import { configHelp, describeOptions } from "@headroom/runtime";
import { type Command, Option } from "commander";
import { agentHold, agentRelease } from "../commands/agent-hold.ts";
import { runPart } from "../commands/run-part.ts";
import { type Part, parts } from "../parts.ts";
import type { ProgramContext } from "../program.ts";
import { refuseTlsOptions, tlsFlagsOf } from "../tls-settings.ts";

/** Flags of the whole program that parts take too. */
const globalFlags: ReadonlySet<string> = new Set([
  "data-dir",
  "token-file",
  "registry",
  "orchestrator",
  "tls-ca-file",
  "tls-cert-file",
  "tls-key-file",
]);

/** `registry`, `orchestrator`, `agent`: one part in the foreground. */
export function addPartCommands(program: Command, context: ProgramContext): void {
  addPart(program, parts.registry, context);
  addPart(program, parts.orchestrator, context);
  const agent = addPart(program, parts.agent, context);
  agent
    .command("hold")
    .description("you are the owner of this machine: keep new work away from it; what runs goes on")
    .option("--reason <text>", "why, for those who wait", "")
    .action((flags: { reason: string }) => context.run(agentHold(flags.reason)));
  agent
    .command("release")
    .description("let work come to this machine again")
    .action(() => context.run(agentRelease()));
}

function addPart(program: Command, part: Part, { io, globals, setExitCode }: ProgramContext): Command {
  const command = program
    .command(part.name)
    .description(`run ${part.summary}, in the foreground`)
    .addHelpText("after", `\nSettings, each by flag or environment variable:\n${configHelp(part.schema)}`);
  const options = flagOptions(part);
  if (options.some(([flag]) => flag === "registry-addr")) {
    command.addHelpText(
      "after",
      "\n--registry and --orchestrator, as all commands know them, set the same two addresses.",
    );
  }
  command.addHelpText(
    "after",
    "\nThe --tls-… options set what this list says, not the variables that stand beside them in the list of global options.",
  );
  for (const [, option] of options) command.addOption(option);
  command.action(async () => {
    const given: Record<string, unknown> = command.opts();
    const flags = Object.fromEntries(options.map(([flag, option]) => [flag, given[option.attributeName()]]));
    const { dataDir, tokenFile, registry, orchestrator, ...others } = globals();
    refuseTlsOptions(part.name, others, new Set(describeOptions(part.schema).map(({ flag }) => flag)));
    const shared = {
      "data-dir": dataDir,
      "token-file": tokenFile,
      ...tlsFlagsOf(others),
      registry,
      // The agent's names for the same two.
      "registry-addr": flags["registry-addr"] ?? registry,
      "orchestrator-addr": flags["orchestrator-addr"] ?? orchestrator,
    };
    setExitCode(await runPart(part, io, { ...flags, ...shared }));
  });
  return command;
}

/** One hidden option for each flag of the schema: the list of settings below the help says more about each. */
function flagOptions(part: Part): (readonly [string, Option])[] {
  return describeOptions(part.schema).flatMap(({ flag, placeholder, help }) => {
    if (flag === undefined || globalFlags.has(flag)) return [];
    // A flag that is true or false may stand alone.
    const value = placeholder === "" ? "[boolean]" : `<${placeholder.toLowerCase()}>`;
    return [[flag, new Option(`--${flag} ${value}`, help).hideHelp()] as const];
  });
}
