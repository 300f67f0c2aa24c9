import { readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  errorCode,
  type Logger,
  type ManagedService,
  Outage,
  type Ports,
  RunLoop,
  withTimeout,
} from "@headroom/runtime";

/** Name of the file in the agent's folder that keeps new work away: that it is there counts. Its content is the reason, for people. */
export const ownerHoldFileName = "owner-hold";

/** Whether the owner keeps new work away. What runs goes on. */
export interface OwnerHold extends ManagedService {
  /** The reason in force ("" when the owner gave none); null: no hold. */
  current(): string | null;
  /** Looks anew: `current` then knows what was said before this call. Waits a second at most, and never rejects. */
  look(): Promise<void>;
}

/** Reads what the owner has said; null: nothing. Rejects when that cannot be told. A port. */
export type ReadOwnerHold = () => Promise<string | null>;

export interface OwnerHoldOptions {
  readonly read: ReadOwnerHold;
  readonly ports: Ports;
  readonly logger: Logger;
  /** Called after each change. */
  onChange(): void;
}

// A look costs one open; a person does not notice a second.
const lookEveryMs = 1_000;
const maxReasonLength = 255;
/** In the place of the owner's own words. */
const unreadableReason = "there is a hold whose reason this agent may not read";
const unknownReason = "whether there is a hold cannot be told; see the agent's log";
/** The file is there, or its folder is closed to us: somebody else made it, with sudo perhaps. */
const isThere: ReadonlySet<string> = new Set(["EACCES", "EPERM", "EISDIR"]);

/** Reads the file `owner-hold` in the agent's folder. */
export function ownerHoldFile(agentDir: string): ReadOwnerHold {
  return () => readHold(join(agentDir, ownerHoldFileName));
}

/**
 * Watches the owner's hold by looking once a second: file notifications do not work on every file system, and a missed one
 * would take the owner's machine against his will.
 */
export function watchOwnerHold(options: OwnerHoldOptions): OwnerHold {
  let reason: string | null = null;
  const outage = new Outage(options.logger, {
    fails: "the owner's hold cannot be read; the last state stays in force",
    works: "the owner's hold can be read again",
  });
  const readAnew = async (): Promise<void> => {
    const found = await options.read();
    outage.worked();
    if (found === reason) return;
    const wasHeld = reason !== null;
    reason = found;
    if (wasHeld === (found !== null)) return;
    options.logger.info({ owner_hold: found !== null, reason: found ?? undefined }, "the owner's hold changed");
    options.onChange();
  };
  let underWay: Promise<void> | null = null;
  /** Has not begun, so it sees whatever was said until now; the one under way may have missed it. */
  let next: Promise<void> | null = null;
  const begin = (): Promise<void> => {
    next = null;
    underWay = readAnew().finally(() => {
      underWay = null;
    });
    return underWay;
  };
  const look = (): Promise<void> => {
    if (next === null && underWay === null) return begin();
    next ??= (underWay ?? Promise.resolve()).then(begin, begin);
    return next;
  };
  const loop = new RunLoop({
    name: "owner-hold",
    ports: options.ports,
    intervalMs: lookEveryMs,
    errorDelayMs: lookEveryMs,
    run: look,
    onError: (error) => outage.failed(error),
  });
  return {
    name: loop.name,
    current: () => reason,
    async look() {
      const late = new Error("it was not read in time");
      await withTimeout(options.ports.timers, lookEveryMs, look(), () => late).catch((error: unknown) =>
        outage.failed(error),
      );
    },
    state: () => loop.state(),
    stop: (why) => loop.stop(why),
    // The first look comes before anything else starts, so that no work slips in under a hold that was there all the time. Nor
    // does any while nobody can tell: the owner comes first.
    async start() {
      reason = await options.read().catch(() => unknownReason);
      await loop.start();
    },
  };
}

async function readHold(path: string): Promise<string | null> {
  try {
    return (await readFile(path, "utf8")).trim().slice(0, maxReasonLength);
  } catch (error) {
    const code = errorCode(error);
    if (code === "ENOENT") return null;
    if (isThere.has(code)) return unreadableReason;
    throw error;
  }
}
