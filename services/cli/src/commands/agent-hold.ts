import { mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ownerHoldFileName } from "@headroom/agent";
import { dataPaths, defaultDataDir, writeFileAtomic } from "@headroom/runtime";
import type { CommandContext, Run } from "../context.ts";
import { CliError } from "../errors/cli-error.ts";
import { exitCodes } from "../exit-codes.ts";

/** `headroom agent hold`: writes the file that this machine's agent looks at once a second. */
export function agentHold(reason: string): Run {
  return async (context) => {
    const path = holdFile(context);
    try {
      await mkdir(dirOf(context), { recursive: true, mode: 0o700 });
      // Whoever wrote it, the agent's user reads the reason.
      await writeFileAtomic(path, `${reason}\n`, { mode: 0o644 });
    } catch (error) {
      throw notAllowed(path, error);
    }
    context.say("no new work comes to this machine; what runs goes on. headroom agent release undoes it");
    return exitCodes.done;
  };
}

/** `headroom agent release` */
export function agentRelease(): Run {
  return async (context) => {
    const path = holdFile(context);
    try {
      await rm(path, { force: true });
    } catch (error) {
      throw notAllowed(path, error);
    }
    context.say("work may come to this machine again");
    return exitCodes.done;
  };
}

function dirOf(context: CommandContext): string {
  const { dataDir } = context.options;
  return dataPaths(dataDir === undefined ? defaultDataDir(context.io.env) : resolve(context.io.cwd, dataDir)).agentDir;
}

function holdFile(context: CommandContext): string {
  return join(dirOf(context), ownerHoldFileName);
}

function notAllowed(path: string, error: unknown): CliError {
  return new CliError({
    message: `cannot change ${path}: ${error instanceof Error ? error.message : String(error)}`,
    reason: "HOLD_FILE",
    wayOut: "name the agent's data folder with --data-dir, and be the user that the agent runs as",
    cause: error,
  });
}
