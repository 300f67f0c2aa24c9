import { open, utimes } from "node:fs/promises";
import type { Clock } from "./clock.ts";
import { sleep, type Timer, type Timers } from "./timers.ts";
import { errorCode } from "./error-code.ts";

/** An owner touches its claim this often. It takes no room, so that a full disk silences nobody. */
const touchEveryMs = 3_000;
const lookEveryMs = 500;
/**
 * 15 s: five touches. Looks are counted and the clock is not read: over a sleep of the machine a clock goes on, while an owner in
 * another container on it could touch nothing.
 */
const looksUntilSilent = 30;

/** Gives signs of life for whoever cannot see the owner's process. */
export interface SignsOfLife {
  /** Resolves when no more come. Idempotent. */
  end(): Promise<void>;
}

/**
 * Touches the claim at `path()` from now on. It keeps no process running. `onGone` is called when the claim is there no more: somebody took the
 * owner for dead.
 */
export function giveSigns(
  path: () => string,
  { clock, timers }: { clock: Clock; timers: Timers },
  onGone: () => Promise<void>,
): SignsOfLife {
  let ended = false;
  let timer: Timer | undefined;
  let touched: Promise<void> = Promise.resolve();
  const touch = async (): Promise<void> => {
    const now = new Date(clock.now());
    try {
      await utimes(path(), now, now);
    } catch (error) {
      // One that fails for another reason is followed by the next; there is nobody to tell.
      if (errorCode(error) === "ENOENT") await onGone().catch(() => undefined);
    }
    touchLater();
  };
  const touchLater = (): void => {
    if (ended) return;
    timer = timers.after(touchEveryMs, () => void (touched = touch()), { keepAlive: false });
  };
  touchLater();
  return {
    end() {
      ended = true;
      timer?.cancel();
      return touched;
    },
  };
}

/**
 * Whether the file at `path` changes, or goes, within 15 s; resolves as soon as it does. Times of the file are compared with each other
 * alone: its owner's clock may be wrong. Rejects when it cannot be looked at, and with the signal's reason.
 */
export async function seesSigns(path: string, timers: Timers, signal?: AbortSignal): Promise<boolean> {
  const first = await signOf(path);
  if (first === null) return true;
  for (let looks = 0; looks < looksUntilSilent; looks += 1) {
    await sleep(timers, lookEveryMs, signal);
    if ((await signOf(path)) !== first) return true;
  }
  return false;
}

/** When the file was changed last, epoch milliseconds by a clock that is perhaps another machine's; null: it is gone. */
export async function lastSignMs(path: string): Promise<number | null> {
  const sign = await signOf(path);
  return sign === null ? null : Number(sign / 1_000_000n);
}

/** Opened for it: a network file system then asks its server, where a mere `stat` may be answered from what it remembers. */
async function signOf(path: string): Promise<bigint | null> {
  try {
    const file = await open(path, "r");
    try {
      return (await file.stat({ bigint: true })).mtimeNs;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  }
}
