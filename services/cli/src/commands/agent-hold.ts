import { rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { identityFileName, isAgentRunning, ownerHoldFileName } from "@headroom/agent";
import { dataPaths, defaultDataDir, errorCode, writeFileAtomic } from "@headroom/runtime";
import type { CommandContext, Run } from "../context.ts";
import { CliError } from "../errors/cli-error.ts";
import { exitCodes } from "../exit-codes.ts";

/** `headroom agent hold`: writes the file that this machine's agent looks at once a second, and before it takes or starts anything. */
export function agentHold(reason: string): Run {
  return async (context) => {
    const agentDir = await agentDirOf(context);
    const path = join(agentDir, ownerHoldFileName);
    try {
      // Whoever wrote it, the agent's user reads the reason.
      await writeFileAtomic(path, `${reason}\n`, { mode: 0o644 });
    } catch (error) {
      throw notAllowed(path, error);
    }
    context.say(
      (await runs(agentDir))
        ? "no new work comes to this machine; what runs goes on. headroom agent release undoes it"
        : `no agent runs on ${agentDir}: it is held from its next start on. headroom agent release undoes it`,
    );
    return exitCodes.done;
  };
}

/** `headroom agent release` */
export function agentRelease(): Run {
  return async (context) => {
    const path = join(await agentDirOf(context), ownerHoldFileName);
    try {
      await rm(path, { force: true });
    } catch (error) {
      throw notAllowed(path, error);
    }
    context.say("work may come to this machine again");
    return exitCodes.done;
  };
}

/** The agent's folder; never one that no agent looks into. */
async function agentDirOf(context: CommandContext): Promise<string> {
  const { dataDir } = context.options;
  const dir = dataDir === undefined ? defaultDataDir(context.io.env) : resolve(context.io.cwd, dataDir);
  const { agentDir } = dataPaths(dir);
  const path = join(agentDir, identityFileName);
  try {
    await stat(path);
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") throw noAgent(agentDir);
    throw notAllowed(path, error);
  }
  return agentDir;
}

/** A lock that cannot be read is somebody's: the agent's, for whom else was this written. */
async function runs(agentDir: string): Promise<boolean> {
  return isAgentRunning(agentDir).catch(() => true);
}

const wayOut =
  "name the agent's data folder with --data-dir, or be the user that the agent runs as: sudo -u USER headroom agent …";

function noAgent(agentDir: string): CliError {
  return new CliError({
    message: `${agentDir} is not the folder of an agent (it has no ${identityFileName}): nobody would look there`,
    reason: "NO_AGENT_HERE",
    wayOut,
  });
}

function notAllowed(path: string, error: unknown): CliError {
  return new CliError({
    message: `cannot change ${path}: ${error instanceof Error ? error.message : String(error)}`,
    reason: "HOLD_FILE",
    wayOut,
    cause: error,
  });
}
