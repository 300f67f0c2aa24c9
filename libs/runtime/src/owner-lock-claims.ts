import { randomUUID } from "node:crypto";
import { link, readFile, readdir, rename, rm, stat, truncate, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isDiskFull } from "./disk-full.ts";
import type { OwnerPlace } from "./owner-lock-place.ts";
import { errorCode } from "./error-code.ts";

/** What a file of the lock's folder says; its name is the claim's number. */
export interface Claim {
  readonly pid: number;
  readonly start_time: string;
  readonly since_ms: number;
  /** Not in claims of versions that took every owner for one of this machine. */
  readonly place?: OwnerPlace;
  /** Set when the owner let go by itself. */
  readonly released?: boolean;
}

/** 0: there is none. */
export async function highestClaim(lockDir: string): Promise<number> {
  const numbers = (await readdir(lockDir)).map((name) => (/^\d+$/.test(name) ? Number(name) : 0));
  return Math.max(0, ...numbers);
}

/** "gone" when a newer claim has replaced it meanwhile. */
export async function readClaim(lockDir: string, number: number): Promise<Claim | "gone"> {
  const text = await readFile(claimPath(lockDir, number), "utf8").catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return null;
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
export async function makeClaim(lockDir: string, number: number, claim: Claim): Promise<boolean> {
  // Not named by the pid: in two containers over one folder that is often the same.
  const draft = join(lockDir, `draft-${randomUUID()}`);
  try {
    await writeFile(draft, JSON.stringify(claim), { mode: 0o600 });
    await link(draft, claimPath(lockDir, number));
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    // NFS sends a request again whose answer was lost, and is told that the number is taken: by us, if the draft has two names now.
    if ((await stat(draft)).nlink !== 2) return false;
  } finally {
    await rm(draft, { force: true });
  }
  // A slow one may fill a number that was cleared away below a newer claim.
  if ((await highestClaim(lockDir)) === number) return true;
  await unlink(claimPath(lockDir, number)).catch(() => undefined);
  return false;
}

export async function deleteClaimsBelow(lockDir: string, number: number): Promise<void> {
  for (const name of await readdir(lockDir)) {
    if (/^\d+$/.test(name) && Number(name) < number) await unlink(join(lockDir, name)).catch(() => undefined);
  }
}

/** Says in the claim that its owner let go. */
export async function releaseClaim(lockDir: string, number: number, claim: Claim): Promise<void> {
  const path = claimPath(lockDir, number);
  try {
    await replaceFile(path, JSON.stringify({ ...claim, released: true }));
  } catch (error) {
    // An empty claim has no owner either, and needs no room on a disk that has none.
    if (!isDiskFull(error)) throw error;
    await truncate(path);
  }
}

export function claimPath(lockDir: string, number: number): string {
  return join(lockDir, String(number));
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
