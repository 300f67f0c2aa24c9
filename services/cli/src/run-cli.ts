import { resolve } from "node:path";
import { CommanderError } from "commander";
import { defaultDataDir } from "@headroom/runtime";
import type { GlobalOptions } from "./context.ts";
import { renderError } from "./errors/render.ts";
import { exitCodes } from "./exit-codes.ts";
import type { CliIo } from "./io.ts";
import { createProgram } from "./program.ts";

/** Runs one command line (without the program's own name) and answers the exit code. Never rejects. */
export async function runCli(args: readonly string[], io: CliIo): Promise<number> {
  const program = createProgram(io);
  try {
    if (args.length === 0) {
      io.stdout.write(program.command.helpInformation());
      return exitCodes.error;
    }
    await program.command.parseAsync([...args], { from: "user" });
    return program.exitCode();
  } catch (error) {
    if (error instanceof CommanderError) return commanderCode(error, io);
    const { dataDir } = program.command.opts<GlobalOptions>();
    io.stderr.write(renderError(error, dataDir === undefined ? defaultDataDir(io.env) : resolve(io.cwd, dataDir)));
    return exitCodes.error;
  }
}

/** Commander has told its errors already; all that is missing is the way out. */
function commanderCode(error: CommanderError, io: CliIo): number {
  if (error.exitCode === 0) return exitCodes.done;
  // A command with subcommands and none named prints its help, which says it all.
  if (error.code !== "commander.help") io.stderr.write("  headroom help COMMAND tells what it takes\n");
  return exitCodes.error;
}
