import { link, readFile, readdir, rename, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ensureDir } from "@headroom/runtime";
import type { ProcessTable } from "./processes/process-table.ts";

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

/** The right to be the one agent of a folder. */
export interface DataDirLock {
  /** Idempotent. */
  release(): Promise<void>;
}

interface Claim {
  readonly pid: number;
  readonly startToken: string;
}

const maxTries = 50;
let drafts = 0;

/**
 * Makes this process the folder's one agent, or throws AgentDirInUseError. The lock is the highest of numbered claims. A claim is made
 * by `link`, which fails if the number is taken: of all who find the last owner dead, one alone makes the next claim. So it needs no
 * clean-up after a kill -9.
 */
export async function lockDataDir(agentDir: string, processes: ProcessTable, pid = process.pid): Promise<DataDirLock> {
  const lockDir = join(agentDir, "lock");
  await ensureDir(lockDir);
  const mine: Claim = { pid, startToken: (await processes.startToken(pid)) ?? "unknown" };
  for (let tries = 0; tries < maxTries; tries += 1) {
    const highest = await highestNumber(lockDir);
    const holder = highest === 0 ? null : await readClaim(join(lockDir, String(highest)));
    if (holder !== null && (await processes.startToken(holder.pid)) === holder.startToken)
      throw new AgentDirInUseError(agentDir, holder.pid);
    if (await claim(lockDir, highest + 1, mine)) {
      await removeOlder(lockDir, highest + 1);
      return { release: once(() => replaceFile(join(lockDir, String(highest + 1)), "{}")) };
    }
  }
  throw new Error(`could not lock ${lockDir}: ${maxTries} other starts came in between`);
}

async function highestNumber(lockDir: string): Promise<number> {
  const names = await readdir(lockDir);
  return Math.max(0, ...names.map((name) => (/^\d+$/.test(name) ? Number(name) : 0)));
}

/** null: released, torn by a loss of power, or replaced meanwhile; in each case its owner is not there any more. */
async function readClaim(path: string): Promise<Claim | null> {
  const text = await readFile(path, "utf8").catch(() => "");
  try {
    const value = JSON.parse(text) as Partial<Claim>;
    return typeof value.pid === "number" && typeof value.startToken === "string"
      ? { pid: value.pid, startToken: value.startToken }
      : null;
  } catch {
    return null;
  }
}

async function claim(lockDir: string, number: number, mine: Claim): Promise<boolean> {
  drafts += 1;
  const draft = join(lockDir, `draft-${mine.pid}-${drafts}`);
  const path = join(lockDir, String(number));
  await writeFile(draft, JSON.stringify(mine), { mode: 0o600 });
  try {
    await link(draft, path);
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, "code") === "EEXIST") return false;
    throw error;
  } finally {
    await unlink(draft).catch(() => undefined);
  }
  // A slow one may have filled a number that was cleared away below a newer claim.
  if ((await highestNumber(lockDir)) === number) return true;
  await unlink(path).catch(() => undefined);
  return false;
}

async function removeOlder(lockDir: string, number: number): Promise<void> {
  for (const name of await readdir(lockDir))
    if (/^\d+$/.test(name) && Number(name) < number) await unlink(join(lockDir, name)).catch(() => undefined);
}

async function replaceFile(path: string, text: string): Promise<void> {
  const draft = `${path}.draft`;
  await writeFile(draft, text, { mode: 0o600 });
  await rename(draft, path);
}

function once(action: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= action());
}
