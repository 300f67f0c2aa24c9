import { Command, Option } from "commander";
import { createContext, type GlobalOptions, type Run } from "./context.ts";
import { exitCodeHelp, type ExitCode } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";
import { addAgentCommands } from "./program/agents.ts";
import { addCallCommands } from "./program/call.ts";
import { addCapacityCommands } from "./program/capacity.ts";
import { addPartCommands } from "./program/parts.ts";
import { addPlacementCommands } from "./program/placement.ts";
import { addPlanCommands } from "./program/plans.ts";
import { addQueueCommands } from "./program/queue.ts";
import { addSimulateCommand } from "./program/simulate.ts";
import { addUpCommand } from "./program/up.ts";
import { nearest } from "./plan-file/suggest.ts";
import { version } from "./version.ts";

/** Runs a command with the options of the whole line; what it answers is the exit code of the program. */
export type Runner = (run: Run) => Promise<void>;

export interface Program {
  readonly command: Command;
  /** Of the command that ran. */
  exitCode(): ExitCode;
}

/** What the functions that add commands are given. */
export interface ProgramContext {
  readonly io: CliIo;
  readonly run: Runner;
  readonly globals: () => GlobalOptions;
  /** For commands that end with a code of their own. */
  readonly setExitCode: (code: number) => void;
}

/** The whole command line. */
export function createProgram(io: CliIo): Program {
  let exitCode = 0;
  const command = new Command("headroom");
  const globals = (): GlobalOptions => command.opts<GlobalOptions>();
  const context: ProgramContext = {
    io,
    globals,
    setExitCode(code) {
      exitCode = code;
    },
    async run(run) {
      const commandContext = createContext(io, globals());
      try {
        exitCode = await run(commandContext);
      } finally {
        commandContext.close();
      }
    },
  };
  command
    .description("Dispatches work to a fleet of desktops when there is room, and parks it durably when there is none.")
    .version(version, "-V, --version", "print the version")
    .addOption(new Option("-o, --output <format>", "how data is printed").choices(["table", "json"]).default("table"))
    .option(
      "--registry <host:port>",
      "address of the registry (HEADROOM_REGISTRY_ADDR; found by itself on one machine)",
    )
    .option("--orchestrator <host:port>", "address of the orchestrator (HEADROOM_ORCHESTRATOR_ADDR; found by itself)")
    .option("--token-file <path>", "file with the token (HEADROOM_TOKEN_FILE; found by itself)")
    .option(
      "--tls-ca-file <path>",
      "CA (PEM) that signed the services' certificates; turns TLS on (HEADROOM_TLS_CA_FILE)",
    )
    .option(
      "--tls-cert-file <path>",
      "certificate (PEM) to show to services that ask for one (HEADROOM_TLS_CLIENT_CERT_FILE)",
    )
    .option("--tls-key-file <path>", "private key (PEM) of that certificate (HEADROOM_TLS_CLIENT_KEY_FILE)")
    .option("--data-dir <path>", "data folder of this machine's services (HEADROOM_DATA_DIR)")
    .addHelpText("after", exitCodeHelp)
    .addHelpText("after", "\nData goes to stdout, messages to stderr. NO_COLOR=1 turns colours off.");
  addUpCommand(command, context);
  addPartCommands(command, context);
  addAgentCommands(command, context);
  addCapacityCommands(command, context);
  addPlanCommands(command, context);
  addQueueCommands(command, context);
  addPlacementCommands(command, context);
  addSimulateCommand(command, context);
  addCallCommands(command, context);
  command
    .command("version")
    .description("print the version")
    .action(() => {
      io.stdout.write(globals().output === "json" ? `${JSON.stringify({ version })}\n` : `${version}\n`);
    });
  strict(command, io);
  // The commands above answer the codes of exit-codes.ts; those of the services end with a signal's.
  return { command, exitCode: () => exitCode as ExitCode };
}

/** Every command: no word too many, errors with a way out, output through `io`. */
function strict(command: Command, io: CliIo): void {
  command
    .exitOverride()
    .allowExcessArguments(false)
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text.replace(/^error: /, "headroom: ")),
      outputError(text, write) {
        const mistyped = text.startsWith("error: too many arguments") ? mistypedCommand(command) : null;
        if (mistyped !== null) write(mistyped);
        else write(text.startsWith("error: unknown command") ? text + commandsOf(command) : text);
      },
      getOutHelpWidth: () => io.stdout.columns() ?? 100,
      getErrHelpWidth: () => io.stderr.columns() ?? 100,
    });
  for (const child of command.commands) strict(child, io);
}

/**
 * What was read as a word too many for the default command of a group, which nobody had named: a name that no command of the group has. A
 * default command that takes words of its own has one too many, and no other was meant.
 */
function mistypedCommand(command: Command): string | null {
  const { parent: group } = command;
  const [typed] = command.args;
  if (group === null || typed === undefined || group.args.includes(command.name())) return null;
  if (command.registeredArguments.length > 0) return null;
  const meant = nearest(
    typed,
    group.commands.map((child) => child.name()),
  );
  const hint = meant === null ? "" : `(Did you mean ${meant}?)\n`;
  return `error: unknown command '${typed}'\n${hint}${commandsOf(group)}`;
}

/** For whoever named one that there is not: those that there are. */
function commandsOf(command: Command): string {
  const path: string[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) path.unshift(at.name());
  return `  ${path.join(" ")} has: ${command.commands.map((child) => child.name()).join(", ")}\n`;
}
