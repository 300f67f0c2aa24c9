import { join } from "node:path";
import {
  lockOwner,
  type Logger,
  type LockOwner,
  ownerInWords,
  type OwnerLock,
  type OwnerLockResult,
  type Ports,
  silentLogger,
  sleep,
  systemClock,
  takeOwnerLock,
} from "@headroom/runtime";

/** Another agent works on the same data folder. The message says which, and what to do; show it without a stack. */
export class AgentDirInUseError extends Error {
  override readonly name = "AgentDirInUseError";
  readonly pid: number;
  constructor(agentDir: string, owner: LockOwner) {
    const { pid, elsewhere } = owner;
    // Told to stop a second time, it leaves at once, and what it runs with nobody over it.
    const stop =
      elsewhere === null
        ? `If it is ending its commands, wait for it; else stop it (kill ${pid})`
        : "Stop it where it runs, if it is not ending by itself";
    super(
      `another agent (${ownerInWords(owner)}) already runs on ${agentDir}. ${stop}, or give this one a data folder ` +
        `of its own: set HEADROOM_DATA_DIR or --data-dir. Two agents with one identity would be refused as clones.`,
    );
    this.pid = pid;
  }
}

export interface LockDataDirOptions {
  /** The owner to be. Default: this process. */
  readonly pid?: number;
  /** How long a predecessor has to let go of the folder. Default 0. */
  readonly waitMs?: number;
  /** Told once that it waits. */
  readonly logger?: Pick<Logger, "warn">;
  /** Another agent, elsewhere, has the folder now: it took this one for dead while that stood still. */
  readonly onLost?: ((owner: LockOwner) => void) | undefined;
  /** Ends the wait; it rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
}

const lookEveryMs = 250;

/** Makes this process the folder's one agent, or throws AgentDirInUseError. */
export async function lockDataDir(
  agentDir: string,
  ports: Pick<Ports, "clock" | "timers">,
  options: LockDataDirOptions = {},
): Promise<OwnerLock> {
  const { clock, timers } = ports;
  const { waitMs = 0, logger = silentLogger, signal, onLost } = options;
  const endMs = clock.monotonic() + waitMs;
  const take = (): Promise<OwnerLockResult> =>
    takeOwnerLock(lockDirOf(agentDir), {
      clock,
      timers,
      signal,
      onLost,
      ...(options.pid !== undefined && { pid: options.pid }),
      onWatch: (owner) =>
        logger.warn({ ...owner }, `looking for up to 15 s whether ${ownerInWords(owner)} still runs on ${agentDir}`),
    });
  for (let looks = 0; ; looks += 1) {
    const result = await take();
    if (result.kind === "taken") return result.lock;
    if (clock.monotonic() >= endMs) throw new AgentDirInUseError(agentDir, result);
    if (looks === 0) {
      logger.warn(
        { pid: result.pid, wait_ms: waitMs },
        `${ownerInWords(result)}, the agent before it, is given ${Math.round(waitMs / 1_000)} s to end its commands and let go of ${agentDir}`,
      );
    }
    await sleep(timers, lookEveryMs, signal);
  }
}

/** Whether an agent runs on the folder. Takes nothing and creates nothing. */
export async function isAgentRunning(agentDir: string): Promise<boolean> {
  return (await lockOwner(lockDirOf(agentDir), systemClock)) !== null;
}

function lockDirOf(agentDir: string): string {
  return join(agentDir, "lock");
}
