import { join } from "node:path";
import { type Clock, lockOwner, type OwnerLock, takeOwnerLock } from "@headroom/runtime";

/** Another agent works on the same data folder. The message says which, and what to do; show it without a stack. */
export class AgentDirInUseError extends Error {
  override readonly name = "AgentDirInUseError";
  readonly pid: number;
  constructor(agentDir: string, pid: number) {
    super(
      `another agent (process ${pid}) already runs on ${agentDir}. Stop it first (kill ${pid}), or give this one a data folder ` +
        `of its own: set HEADROOM_DATA_DIR or --data-dir. Two agents with one identity would be refused as clones.`,
    );
    this.pid = pid;
  }
}

/** Makes this process the folder's one agent, or throws AgentDirInUseError. */
export async function lockDataDir(agentDir: string, clock: Clock, pid = process.pid): Promise<OwnerLock> {
  const result = await takeOwnerLock(lockDirOf(agentDir), { clock, pid });
  if (result.kind === "held") throw new AgentDirInUseError(agentDir, result.pid);
  return result.lock;
}

/** Whether an agent runs on the folder. Takes nothing and creates nothing. */
export async function isAgentRunning(agentDir: string): Promise<boolean> {
  return (await lockOwner(lockDirOf(agentDir))) !== null;
}

function lockDirOf(agentDir: string): string {
  return join(agentDir, "lock");
}
