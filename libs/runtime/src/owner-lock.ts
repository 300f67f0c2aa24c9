import { uptime } from "node:os";
import type { Clock } from "./clock.ts";
import { makeFolders } from "./make-folders.ts";
import {
  type Claim,
  claimPath,
  deleteClaimsBelow,
  highestClaim,
  makeClaim,
  readClaim,
  releaseClaim,
} from "./owner-lock-claims.ts";
import { type OwnerPlace, placeInWords, placeRelation, readOwnerPlace } from "./owner-lock-place.ts";
import { giveSigns, lastSignMs, seesSigns } from "./owner-lock-signs.ts";
import { isSameProcess, processStartTime, unknownStartTime } from "./process-identity.ts";
import { Semaphore } from "./semaphore.ts";
import { systemTimers, type Timers } from "./timers.ts";
import { errorCode } from "./error-code.ts";

/** A folder's one owner. */
export interface OwnerLock {
  /**
   * false when it was released, when somebody has the lock who took this owner for dead, and while that cannot be told. For before what must
   * not be done by two.
   */
  isHeld(): Promise<boolean>;
  /** Lets others in. Idempotent. */
  release(): Promise<void>;
}

/** The process that has the lock. */
export interface LockOwner {
  readonly pid: number;
  /**
   * Where it runs, in words that follow "process 7", when that is another machine or container: a `kill` here reaches it not, or
   * somebody else. null: here.
   */
  readonly elsewhere: string | null;
}

/** "process 7", or "process 7 on host desk-3". */
export function ownerInWords({ pid, elsewhere }: LockOwner): string {
  return `process ${pid}${elsewhere === null ? "" : ` ${elsewhere}`}`;
}

export type OwnerLockResult =
  | { readonly kind: "taken"; readonly lock: OwnerLock }
  /** By a process that runs. */
  | ({ readonly kind: "held"; readonly sinceMs: number } & LockOwner);

export interface OwnerLockOptions {
  readonly clock: Clock;
  /** For the owner's signs of life, and for who looks for them. Default: the system's. */
  readonly timers?: Timers;
  /** The owner to be. Default: this process. */
  readonly pid?: number;
  /** Ends the watch for signs of life; rejects with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called when the owner has to be watched, for up to 15 s, to tell whether it lives. */
  readonly onWatch?: ((owner: LockOwner) => void) | undefined;
  /** Called once when somebody elsewhere has the lock, who took this owner for dead while it stood still. */
  readonly onLost?: ((owner: LockOwner) => void) | undefined;
}

/** Losing a race means that somebody else took a step; more than this in a row is not a race any more. */
const maxTries = 100;
/** The clock may have been set by so much since a claim was made. */
const clockSetMs = 60_000;
/** A claim that was touched within it is taken for a living one's by those who do not watch. Clocks of machines differ. */
const recentMs = 600_000;

/**
 * Takes the lock that lies in the folder `lockDir`. It survives a kill -9 in both senses: a dead owner does not keep it, and two
 * who find it dead do not both get it. Throws when the folder cannot be written.
 *
 * The lock is a row of claims named by number, of which the highest counts and is never deleted. A claim is made by
 * `link`, which fails if the number is taken; so of all who saw claim n dead, one alone makes n + 1.
 *
 * Whether an owner lives is asked of the system where it knows the owner's pid: on the same machine, in the same container. Over a folder
 * that others share, the owner touches its claim as long as it has the lock, and counts as dead when it has not for 15 s. So one
 * that stands still for longer (its machine sleeps, its network is gone) may lose the lock to another machine. It is told when it goes on,
 * and takes the lock back where the other one has let it go.
 */
export async function takeOwnerLock(lockDir: string, options: OwnerLockOptions): Promise<OwnerLockResult> {
  const { clock, timers = systemTimers, pid = process.pid } = options;
  await makeFolders(lockDir, 0o700);
  const place = await readOwnerPlace(lockDir);
  const mine: Claim = { pid, start_time: (await processStartTime(pid)) ?? "ended", since_ms: clock.now(), place };
  for (let tries = 0; tries < maxTries; tries += 1) {
    const highest = await highestClaim(lockDir);
    if (highest > 0) {
      const claim = await readClaim(lockDir, highest);
      if (claim === "gone") continue;
      const standing = await standingOf(claim, { place, clock, path: claimPath(lockDir, highest) });
      if (standing === "held") return { kind: "held", sinceMs: claim.since_ms, ...ownerOf(claim, place) };
      if (standing === "unknown") {
        options.onWatch?.(ownerOf(claim, place));
        if (await seesSigns(claimPath(lockDir, highest), timers, options.signal)) {
          // The last one may have been that it let go.
          const now = await readClaim(lockDir, highest);
          if (now === "gone" || now.released === true) continue;
          return { kind: "held", sinceMs: claim.since_ms, ...ownerOf(claim, place) };
        }
      }
    }
    if (await makeClaim(lockDir, highest + 1, mine)) {
      await deleteClaimsBelow(lockDir, highest + 1);
      return { kind: "taken", lock: ownerLock({ lockDir, number: highest + 1, mine }, { ...options, clock, timers }) };
    }
  }
  throw new Error(`could not take the lock ${lockDir} in ${maxTries} tries: other processes took it in between`);
}

/**
 * The process that holds the lock in the folder `lockDir`, without taking it; null: none does. Creates nothing, and does not wait: an owner
 * elsewhere is believed to live when it gave a sign within ten minutes. Good for telling people, not for doing what only one may.
 */
export async function lockOwner(lockDir: string, clock: Clock): Promise<{ readonly pid: number } | null> {
  for (let tries = 0; tries < maxTries; tries += 1) {
    const highest = await highestClaim(lockDir).catch((error: unknown) => {
      if (errorCode(error) === "ENOENT") return 0;
      throw error;
    });
    if (highest === 0) return null;
    const claim = await readClaim(lockDir, highest);
    if (claim === "gone") continue;
    const path = claimPath(lockDir, highest);
    const standing = await standingOf(claim, { place: await readOwnerPlace(lockDir), clock, path });
    if (standing !== "unknown") return standing === "held" ? { pid: claim.pid } : null;
    const signMs = await lastSignMs(path);
    if (signMs !== null) return clock.now() - signMs < recentMs ? { pid: claim.pid } : null;
  }
  throw new Error(`could not read the lock ${lockDir} in ${maxTries} tries: other processes took it in between`);
}

function ownerLock(
  taken: { readonly lockDir: string; readonly number: number; readonly mine: Claim },
  options: OwnerLockOptions & { readonly timers: Timers },
): OwnerLock {
  const { lockDir, mine } = taken;
  let { number } = taken;
  let isLost = false;
  let released: Promise<void> | undefined;
  /** Looks at the lock and steps on it follow each other: one that saw a claim of its own half made would take it for somebody else's. */
  const steps = new Semaphore(1);
  const signs = giveSigns(
    () => claimPath(lockDir, number),
    options,
    () => steps.run(takeBack),
  );

  async function takeBack(): Promise<void> {
    if (isLost || released !== undefined) return;
    const highest = await highestClaim(lockDir);
    if (highest === number) return;
    const claim = highest === 0 ? null : await readClaim(lockDir, highest);
    if (claim === "gone") return;
    if (claim === null || claim.released === true) {
      if (!(await makeClaim(lockDir, highest + 1, mine))) return;
      number = highest + 1;
      await deleteClaimsBelow(lockDir, number);
      return;
    }
    isLost = true;
    options.onLost?.(ownerOf(claim, mine.place ?? (await readOwnerPlace(lockDir))));
  }

  async function isHeld(): Promise<boolean> {
    await takeBack();
    return !isLost && released === undefined && (await highestClaim(lockDir)) === number;
  }

  async function release(): Promise<void> {
    // Of a lock that somebody else has there is nothing to let go.
    if ((await highestClaim(lockDir)) <= number) await releaseClaim(lockDir, number, mine);
  }
  return {
    isHeld: () => steps.run(isHeld).catch(() => false),
    release() {
      released ??= signs.end().then(() => steps.run(release));
      return released;
    },
  };
}

/** Who looks at a claim, and when. */
interface Look {
  readonly place: OwnerPlace;
  readonly clock: Clock;
  /** Of the claim's file. */
  readonly path: string;
}

/** "unknown": its owner is where nobody here can look. */
async function standingOf(claim: Claim, look: Look): Promise<"held" | "free" | "unknown"> {
  if (claim.released === true) return "free";
  const relation = claim.place === undefined ? "same" : placeRelation(claim.place, look.place);
  switch (relation) {
    case "same":
      if (await isOfEarlierBoot(claim, look)) return "free";
      return (await isSameProcess(claim.pid, claim.start_time)) ? "held" : "free";
    case "past":
      return "free";
    case "elsewhere":
      return "unknown";
  }
}

/**
 * Whether the owner lived before the machine was started, where only the time can tell that: its pid is somebody else's by now. A clock that was
 * set far ahead shows a claim made before as that old, but not the owner's signs since. A boot that was none (Windows' fast start) tells nothing.
 */
async function isOfEarlierBoot(claim: Claim, { clock, path }: Look): Promise<boolean> {
  if (claim.start_time !== unknownStartTime) return false;
  const bootedAtMs = clock.now() - uptime() * 1_000;
  if (claim.since_ms >= bootedAtMs - clockSetMs) return false;
  const signMs = await lastSignMs(path);
  return signMs === null || signMs < bootedAtMs;
}

function ownerOf({ pid, place }: Claim, here: OwnerPlace): LockOwner {
  const isHere = place === undefined || placeRelation(place, here) === "same";
  return { pid, elsewhere: isHere ? null : placeInWords(place, here) };
}
