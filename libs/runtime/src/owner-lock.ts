import { link, readFile, readdir, rename, rm, truncate, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "./clock.ts";
import { isDiskFull } from "./disk-full.ts";
import { makeFolders } from "./make-folders.ts";
import { isSameProcess, processStartTime } from "./process-identity.ts";

/** A folder's one owner. */
export interface OwnerLock {
  /** Lets others in. Idempotent. */
  release(): Promise<void>;
}

export type OwnerLockResult =
  | { readonly kind: "taken"; readonly lock: OwnerLock }
  /** By a process that runs. */
  | { readonly kind: "held"; readonly pid: number; readonly sinceMs: number };

export interface OwnerLockOptions {
  readonly clock: Clock;
  /** The owner to be. Default: this process. */
  readonly pid?: number;
}

interface Claim {
  readonly pid: number;
  readonly start_time: string;
  readonly since_ms: number;
  /** Set when the owner let go by itself. */
  readonly released?: boolean;
}

/** Losing a race means that somebody else took a step; more than this in a row is not a race any more. */
const maxTries = 100;
/** Two calls in one process must not share a draft. */
let drafts = 0;

/**
 * Takes the lock that lies in the folder `lockDir`. It survives a kill -9 in both senses: a dead owner does not keep it, and two
 * who find it dead do not both get it. Throws when the folder cannot be written.
 *
 * The lock is a row of claims named by number, of which the highest counts and is never deleted. A claim is made by
 * `link`, which fails if the number is taken; so of all who saw claim n dead, one alone makes n + 1.
 */
export async function takeOwnerLock(lockDir: string, options: OwnerLockOptions): Promise<OwnerLockResult> {
  const { clock, pid = process.pid } = options;
  await makeFolders(lockDir, 0o700);
  const mine: Claim = { pid, start_time: (await processStartTime(pid)) ?? "ended", since_ms: clock.now() };
  for (let tries = 0; tries < maxTries; tries += 1) {
    const highest = await highestClaim(lockDir);
    if (highest > 0) {
      const claim = await readClaim(lockDir, highest);
      if (claim === "gone") continue;
      if (await isHeld(claim)) return { kind: "held", pid: claim.pid, sinceMs: claim.since_ms };
    }
    if (await makeClaim(lockDir, highest + 1, mine)) {
      await deleteClaimsBelow(lockDir, highest + 1);
      return { kind: "taken", lock: ownerLock(lockDir, highest + 1, mine) };
    }
  }
  throw new Error(`could not take the lock ${lockDir} in ${maxTries} tries: other processes took it in between`);
}

/** The process that holds the lock in the folder `lockDir`, without taking it; null: none does. Creates nothing. */
export async function lockOwner(lockDir: string): Promise<{ readonly pid: number } | null> {
  for (let tries = 0; tries < maxTries; tries += 1) {
    const highest = await highestClaim(lockDir).catch((error: unknown) => {
      if (error instanceof Error && Reflect.get(error, "code") === "ENOENT") return 0;
      throw error;
    });
    if (highest === 0) return null;
    const claim = await readClaim(lockDir, highest);
    if (claim !== "gone") return (await isHeld(claim)) ? { pid: claim.pid } : null;
  }
  throw new Error(`could not read the lock ${lockDir} in ${maxTries} tries: other processes took it in between`);
}

function ownerLock(lockDir: string, number: number, mine: Claim): OwnerLock {
  let released: Promise<void> | undefined;
  return {
    release() {
      released ??= letGo(claimPath(lockDir, number), mine);
      return released;
    },
  };
}

async function letGo(path: string, mine: Claim): Promise<void> {
  try {
    await replaceFile(path, JSON.stringify({ ...mine, released: true }));
  } catch (error) {
    // An empty claim has no owner either, and needs no room on a disk that has none.
    if (!isDiskFull(error)) throw error;
    await truncate(path);
  }
}

async function isHeld(claim: Claim): Promise<boolean> {
  return claim.released !== true && (await isSameProcess(claim.pid, claim.start_time));
}

async function highestClaim(lockDir: string): Promise<number> {
  const numbers = (await readdir(lockDir)).map((name) => (/^\d+$/.test(name) ? Number(name) : 0));
  return Math.max(0, ...numbers);
}

/** "gone" when a newer claim has replaced it meanwhile. */
async function readClaim(lockDir: string, number: number): Promise<Claim | "gone"> {
  const text = await readFile(claimPath(lockDir, number), "utf8").catch((error: unknown) => {
    if (error instanceof Error && Reflect.get(error, "code") === "ENOENT") return null;
    throw error;
  });
  if (text === null) return "gone";
  try {
    // Written by us in one piece; after a power cut it may be empty, or its owner let go of it on a full disk: it has none.
    return JSON.parse(text) as Claim;
  } catch {
    return { pid: 0, start_time: "", since_ms: 0, released: true };
  }
}

/** Makes the claim if its number is free and the highest; the file appears whole or not at all. */
async function makeClaim(lockDir: string, number: number, claim: Claim): Promise<boolean> {
  drafts += 1;
  const draft = join(lockDir, `draft-${process.pid}-${drafts}`);
  try {
    await writeFile(draft, JSON.stringify(claim), { mode: 0o600 });
    await link(draft, claimPath(lockDir, number));
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, "code") === "EEXIST") return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
  // A slow one may fill a number that was cleared away below a newer claim.
  if ((await highestClaim(lockDir)) === number) return true;
  await unlink(claimPath(lockDir, number)).catch(() => undefined);
  return false;
}

async function deleteClaimsBelow(lockDir: string, number: number): Promise<void> {
  for (const name of await readdir(lockDir)) {
    if (/^\d+$/.test(name) && Number(name) < number) await unlink(join(lockDir, name)).catch(() => undefined);
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const draft = `${path}.draft`;
  try {
    await writeFile(draft, text, { mode: 0o600 });
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

function claimPath(lockDir: string, number: number): string {
  return join(lockDir, String(number));
}
