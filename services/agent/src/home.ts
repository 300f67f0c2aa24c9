import { join } from "node:path";
import { ensureDir, silentLogger, type LockOwner, type Logger, type Ports } from "@headroom/runtime";
import { isAgentRunning, lockDataDir } from "./data-dir-lock.ts";
import { loadAgentId } from "./identity.ts";
import { readLeftovers } from "./leftovers.ts";
import type { Leftover } from "./runner/runner.ts";
import { countStart } from "./starts.ts";

/** Where things lie in the agent's folder. */
export interface AgentPaths {
  readonly journal: string;
  readonly spoolDir: string;
  /** Fresh working folders of tasks. */
  readonly freshDir: string;
}

export function agentPaths(agentDir: string): AgentPaths {
  return {
    journal: join(agentDir, "journal.jsonl"),
    spoolDir: join(agentDir, "spool"),
    freshDir: join(agentDir, "work"),
  };
}

/** Who begins. */
export interface AgentStart {
  readonly agentId: string;
  /** How often the program has started with this folder, this time included. */
  readonly starts: number;
}

/** The agent's folder, as a port: who the agent is, and that it is the only one. */
export interface AgentHome {
  /**
   * Takes the folder for this process; `logger` is told what it waits for, `signal` ends the wait.
   * Throws AgentDirInUseError, IdentityError.
   */
  open(logger?: Pick<Logger, "warn">, signal?: AbortSignal): Promise<AgentStart>;
  /**
   * What an earlier program left unfinished, told without changing anything and while the folder is not open; null while another agent
   * has it. A home that is always opened at once need not tell.
   */
  leftovers?(): Promise<readonly Leftover[] | null>;
  /** Idempotent. */
  close(): Promise<void>;
}

export interface AgentHomeOptions {
  /** How long an agent that still has the folder has to let go of it. Default 0. */
  readonly predecessorWaitMs?: number;
  /** Another agent, elsewhere, has the folder now, which took this one for dead: what is written here is read by both. */
  readonly onLost?: (owner: LockOwner) => void;
}

export function agentHome(
  agentDir: string,
  ports: Ports,
  { predecessorWaitMs = 0, onLost }: AgentHomeOptions = {},
): AgentHome {
  let release: (() => Promise<void>) | undefined;
  return {
    async open(logger = silentLogger, signal) {
      await ensureDir(agentDir);
      const lock = await lockDataDir(agentDir, ports, { waitMs: predecessorWaitMs, logger, signal, onLost });
      try {
        const agentId = await loadAgentId(agentDir, ports.random);
        const starts = await countStart(agentDir);
        release = () => lock.release();
        return { agentId, starts };
      } catch (error) {
        await lock.release();
        throw error;
      }
    },
    async leftovers() {
      const found = await readLeftovers(agentPaths(agentDir).journal);
      // In this order: whoever answered for them when they were read had the folder, and has it no more.
      return (await isAgentRunning(agentDir)) ? null : found;
    },
    async close() {
      await release?.();
      release = undefined;
    },
  };
}
