import { rm } from "node:fs/promises";
import { join } from "node:path";
import { ensureDir, type Ports } from "@headroom/runtime";
import { lockDataDir } from "./data-dir-lock.ts";
import { loadAgentId } from "./identity.ts";
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
  /** Takes the folder for this process. Throws AgentDirInUseError, IdentityError. */
  open(): Promise<AgentStart>;
  /** Idempotent. */
  close(): Promise<void>;
}

export function agentHome(agentDir: string, { clock, random }: Pick<Ports, "clock" | "random">): AgentHome {
  let release: (() => Promise<void>) | undefined;
  return {
    async open() {
      await ensureDir(agentDir);
      const lock = await lockDataDir(agentDir, clock);
      try {
        const agentId = await loadAgentId(agentDir, random);
        // Fresh folders of attempts that an earlier program did not see to the end.
        await rm(agentPaths(agentDir).freshDir, { recursive: true, force: true });
        const starts = await countStart(agentDir);
        release = () => lock.release();
        return { agentId, starts };
      } catch (error) {
        await lock.release();
        throw error;
      }
    },
    async close() {
      await release?.();
      release = undefined;
    },
  };
}
