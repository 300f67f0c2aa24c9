import { type Clock, sleep, type Timers } from "@headroom/runtime";
import type { Watcher } from "./capacity-feed.ts";

export interface HoldBackOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly coalesceMs: number;
}

/** Of `coalesceMs`, the least time between two messages that tell of room: the end of one run is often heard of twice, a moment apart. */
const ROOM_APART = 0.25;

/**
 * Something has changed: waits for company, `coalesceMs` at most. Work waits for room, so room that appears ends the wait at once,
 * unless some was told less than a quarter of `coalesceMs` ago.
 */
export async function holdBack(
  watcher: Pick<Watcher, "room">,
  { clock, timers, coalesceMs }: HoldBackOptions,
  roomToldAtMs: number,
  signal: AbortSignal,
): Promise<void> {
  const startedAtMs = clock.monotonic();
  const apartMs = roomToldAtMs + coalesceMs * ROOM_APART - startedAtMs;
  if (apartMs > 0) await sleep(timers, apartMs, signal);
  const leftMs = startedAtMs + coalesceMs - clock.monotonic();
  if (leftMs > 0) await happensWithin((over) => watcher.room(over), timers, leftMs, signal);
}

/** Whether something has changed by then; whoever reads hears a sign of life if not. Null: however long it takes. */
export async function changedWithin(
  watcher: Pick<Watcher, "changed">,
  timers: Timers,
  ms: number | null,
  signal: AbortSignal,
): Promise<boolean> {
  if (ms !== null) return happensWithin((over) => watcher.changed(over), timers, ms, signal);
  await watcher.changed(signal);
  return true;
}

/** False: the time was over first. Rejects when the signal aborts. */
async function happensWithin(
  happens: (over: AbortSignal) => Promise<void>,
  timers: Timers,
  ms: number,
  signal: AbortSignal,
): Promise<boolean> {
  const over = new AbortController();
  const leave = (): void => over.abort(signal.reason);
  signal.addEventListener("abort", leave, { once: true });
  if (signal.aborted) leave();
  try {
    return await Promise.race([
      happens(over.signal).then(() => true),
      sleep(timers, ms, over.signal).then(() => false),
    ]);
  } finally {
    signal.removeEventListener("abort", leave);
    // Whichever of the two has not come is not waited for any more.
    over.abort(new Error("the other came first"));
  }
}
