import { link, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Ports } from "@headroom/runtime";
import { CliError } from "../errors/cli-error.ts";
import { instant } from "../output/format.ts";

/** The right to be the one `headroom up` of a data folder. */
export interface InstanceLock {
  /** Idempotent. */
  release(): Promise<void>;
}

interface Claim {
  readonly pid: number;
  /** Tells the process from a later one with the same pid. */
  readonly process_start: string;
  readonly since_ms: number;
}

const maxTries = 50;
/** Two calls in one process must not share a draft. */
let drafts = 0;

/**
 * Takes the lock, or throws CliError that names the process that has it. The lock is the highest of numbered claims in a folder; a
 * claim is made by `link`, which fails when the number is taken, so of all who find the last owner dead one alone makes the next.
 */
export async function takeInstanceLock(runDir: string, dataDir: string, ports: Ports): Promise<InstanceLock> {
  const lockDir = join(runDir, "up.lock");
  await mkdir(lockDir, { recursive: true, mode: 0o700 });
  const mine: Claim = { pid: process.pid, process_start: await processStart(process.pid), since_ms: ports.clock.now() };
  for (let tries = 0; tries < maxTries; tries += 1) {
    const highest = await highestClaim(lockDir);
    const holder = highest === 0 ? null : await readClaim(join(lockDir, String(highest)));
    if (holder !== null && (await isAlive(holder))) throw inUse(dataDir, holder);
    if (await makeClaim(lockDir, highest + 1, mine)) {
      await removeBelow(lockDir, highest + 1);
      return { release: () => releaseClaim(join(lockDir, String(highest + 1))) };
    }
  }
  throw new CliError({ message: `could not take the lock ${lockDir}`, reason: "DATA_DIR_IN_USE", wayOut: "try again" });
}

async function highestClaim(lockDir: string): Promise<number> {
  const names = await readdir(lockDir);
  return Math.max(0, ...names.map((name) => (/^\d+$/.test(name) ? Number(name) : 0)));
}

/** Makes the claim when its number is free and the highest; the file appears whole or not at all. */
async function makeClaim(lockDir: string, number: number, claim: Claim): Promise<boolean> {
  drafts += 1;
  const draft = join(lockDir, `draft-${process.pid}-${drafts}`);
  const path = join(lockDir, String(number));
  await writeFile(draft, JSON.stringify(claim), { mode: 0o600 });
  try {
    await link(draft, path);
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, "code") === "EEXIST") return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
  // A slow one may fill a number that was cleared away below a newer claim.
  if ((await highestClaim(lockDir)) === number) return true;
  await rm(path, { force: true });
  return false;
}

async function removeBelow(lockDir: string, number: number): Promise<void> {
  for (const name of await readdir(lockDir)) {
    if (/^\d+$/.test(name) && Number(name) < number) await rm(join(lockDir, name), { force: true });
  }
}

/** An empty claim is nobody's. It stays, so that numbers only grow. */
async function releaseClaim(path: string): Promise<void> {
  await writeFile(`${path}.released`, "", { mode: 0o600 });
  await rename(`${path}.released`, path);
}

/** null: released, replaced meanwhile, or torn by a loss of power; its owner is gone in each case. */
async function readClaim(path: string): Promise<Claim | null> {
  const text = await readFile(path, "utf8").catch(() => "");
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return null;
    const pid: unknown = Reflect.get(value, "pid");
    const start: unknown = Reflect.get(value, "process_start");
    const sinceMs: unknown = Reflect.get(value, "since_ms");
    if (typeof pid !== "number" || typeof start !== "string" || typeof sinceMs !== "number") return null;
    return { pid, process_start: start, since_ms: sinceMs };
  } catch {
    return null;
  }
}

async function isAlive(claim: Claim): Promise<boolean> {
  try {
    process.kill(claim.pid, 0);
  } catch (error) {
    // EPERM: it is there and another user's.
    if (!(error instanceof Error && Reflect.get(error, "code") === "EPERM")) return false;
  }
  return (await processStart(claim.pid)) === claim.process_start;
}

/** Boot and start time of a process on Linux; elsewhere the pid alone has to do. */
async function processStart(pid: number): Promise<string> {
  if (process.platform !== "linux") return "unknown";
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The name in parentheses may hold anything; behind it the state is the first field and the start the twentieth.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (fields[0] === "Z" || fields[0] === "X") return "ended";
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "");
  return `${boot.trim()} ${fields[19] ?? ""}`;
}

function inUse(dataDir: string, holder: Claim): CliError {
  return new CliError({
    message: `Headroom runs already on ${dataDir}: process ${holder.pid}, since ${instant(holder.since_ms)}`,
    reason: "DATA_DIR_IN_USE",
    wayOut:
      `use it (headroom capacity), or stop it (Ctrl-C in its terminal, or kill ${holder.pid}), ` +
      "or run a second one on its own data and ports: --data-dir PATH and the HEADROOM_…_ADDR variables (headroom up --help)",
  });
}
