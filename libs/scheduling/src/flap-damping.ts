/**
 * An agent that comes and goes loses the work it is given. Each unannounced loss of its heartbeat is a flap; one that
 * flaps too often is on probation: online, visible as such, and not offered to work for a time that doubles with each
 * further flap. What was announced (a goodbye, a registry that restarts) is no flap, nor is what hits many at once.
 */
import type { EpochMs } from "./resources.ts";

/** What is remembered of an agent's flaps. */
export interface Flapping {
  /** Flaps not forgotten when the last one came. */
  readonly flaps: number;
  readonly lastFlapAtMs: EpochMs | null;
  /** Null: not on probation. */
  readonly probationUntilMs: EpochMs | null;
}

export const NO_FLAPS: Flapping = { flaps: 0, lastFlapAtMs: null, probationUntilMs: null };

/** So many may happen to anybody: a lost network, a closed lid, a machine that hangs and is restarted. */
export const FLAPS_TOLERATED = 3;
/** One flap is forgotten in each such time of calm. */
export const FLAP_MEMORY_MS = 5 * 60_000;
export const MIN_PROBATION_MS = 30_000;
export const MAX_PROBATION_MS = 10 * 60_000;
/** More than these beyond the tolerated ones are not counted: even a notorious agent is forgiven in time (by default within 50 minutes). */
const MOST_FLAPS_TOO_MANY = 7;

/** Flaps that still count at this time. */
export function flapsRemembered({ flaps, lastFlapAtMs }: Flapping, nowMs: EpochMs): number {
  if (lastFlapAtMs === null) return 0;
  const calmMs = Math.max(0, nowMs - lastFlapAtMs);
  return Math.max(0, flaps - Math.floor(calmMs / FLAP_MEMORY_MS));
}

/** One more flap. A probation that is under way is never shortened. */
export function afterFlap(before: Flapping, nowMs: EpochMs, tolerated: number = FLAPS_TOLERATED): Flapping {
  const flaps = Math.min(tolerated + MOST_FLAPS_TOO_MANY, flapsRemembered(before, nowMs) + 1);
  const untilMs = flaps > tolerated ? nowMs + probationMs(flaps - tolerated) : null;
  const runsUntilMs = before.probationUntilMs;
  const probationUntilMs =
    untilMs === null || runsUntilMs === null ? (untilMs ?? runsUntilMs) : Math.max(untilMs, runsUntilMs);
  return { flaps, lastFlapAtMs: nowMs, probationUntilMs };
}

/** 30 s for the first flap too many, twice as long for each further one, 10 minutes at most. */
function probationMs(tooMany: number): number {
  return Math.min(MAX_PROBATION_MS, MIN_PROBATION_MS * 2 ** (tooMany - 1));
}

/** Whether a probation has been sat out, so that its end is to be recorded. One that would last longer than any was given by a clock that was ahead. */
export function isProbationOver({ probationUntilMs }: Flapping, nowMs: EpochMs): boolean {
  return probationUntilMs !== null && (nowMs >= probationUntilMs || probationUntilMs - nowMs > MAX_PROBATION_MS);
}

/**
 * What is remembered of an agent that is not to blame after all for what it was blamed for last. The time of its last flap stays: by that whoever has
 * read of the blame sees that this is the later memory. So the calm that has begun by then counts from anew: each time that it is forgiven an agent may
 * keep its flaps from before up to `FLAP_MEMORY_MS` longer, and for as long as it is forgiven more often than that. None is added by it.
 */
export function forgiven(before: Flapping, { lastFlapAtMs }: Flapping): Flapping {
  if (lastFlapAtMs === null) return before;
  return { flaps: flapsRemembered(before, lastFlapAtMs), lastFlapAtMs, probationUntilMs: before.probationUntilMs };
}

/** The later of two memories of the same agent: since a flap only forgiveness and the end of a probation change it, and both leave less. */
export function newerFlapping(a: Flapping, b: Flapping): Flapping {
  const [aAtMs, bAtMs] = [a.lastFlapAtMs ?? -1, b.lastFlapAtMs ?? -1];
  if (aAtMs !== bAtMs) return aAtMs > bAtMs ? a : b;
  if (a.flaps !== b.flaps) return a.flaps < b.flaps ? a : b;
  return (a.probationUntilMs ?? -1) <= (b.probationUntilMs ?? -1) ? a : b;
}

export function isSameFlapping(a: Flapping, b: Flapping): boolean {
  return a.flaps === b.flaps && a.lastFlapAtMs === b.lastFlapAtMs && a.probationUntilMs === b.probationUntilMs;
}

/** Losses within this time are looked at together. */
export const MASS_FLAP_WINDOW_MS = 10_000;
export const MASS_FLAP_FRACTION = 0.15;
export const MASS_FLAP_MIN_AGENTS = 10;

/** So many losses within one window have one cause, and it is not the agents: a switch, a proxy, this process. */
export function isMassFlap(lossesInWindow: number, fleetSize: number): boolean {
  return lossesInWindow >= MASS_FLAP_MIN_AGENTS && lossesInWindow > fleetSize * MASS_FLAP_FRACTION;
}
