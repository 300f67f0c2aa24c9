import { openSync, readSync } from "node:fs";

/** The time, as a port. */
export interface Clock {
  /** Wall clock, epoch milliseconds, UTC. May jump when somebody sets the clock: never measure a duration with it. */
  now(): number;
  /** Milliseconds from an arbitrary origin. Never goes back, and counts the time a suspended machine slept where the OS can tell. */
  monotonic(): number;
}

/** Where `createClock` reads from; tests give their own. */
export interface ClockSources {
  /** Epoch milliseconds. */
  wallMs(): number;
  /** Never goes back; on Linux it stands still while the machine is suspended. */
  steadyMs(): number;
  /** Milliseconds since boot, suspend included; null where the OS does not tell. */
  bootMs(): number | null;
}

// /proc/uptime counts in steps of 10 ms, so a smaller difference between the two clocks is noise.
const noiseMs = 50;
// A pread of /proc/uptime costs a few microseconds; once a second it costs nothing.
const recheckMs = 1_000;

/**
 * A clock whose monotonic time includes suspend: the steady clock plus what the boot clock has gained on it.
 * The boot clock is read once a second, and at once when the wall clock jumps (the first sign of a resume).
 */
export function createClock(sources: ClockSources): Clock {
  const firstBootMs = sources.bootMs();
  const firstSteadyMs = sources.steadyMs();
  let suspendedMs = 0;
  let checkedAtMs = firstSteadyMs;
  let wallAheadMs = sources.wallMs() - firstSteadyMs;
  let lastMs = firstSteadyMs;

  function recheck(steadyMs: number, aheadMs: number): void {
    checkedAtMs = steadyMs;
    wallAheadMs = aheadMs;
    const bootMs = sources.bootMs();
    if (bootMs === null || firstBootMs === null) return;
    const gainedMs = bootMs - firstBootMs - (steadyMs - firstSteadyMs);
    if (gainedMs > suspendedMs + noiseMs) suspendedMs = gainedMs;
  }

  return {
    now: () => sources.wallMs(),
    monotonic() {
      const steadyMs = sources.steadyMs();
      const aheadMs = sources.wallMs() - steadyMs;
      const due = steadyMs - checkedAtMs >= recheckMs || Math.abs(aheadMs - wallAheadMs) > noiseMs;
      if (due && firstBootMs !== null) recheck(steadyMs, aheadMs);
      lastMs = Math.max(lastMs, steadyMs + suspendedMs);
      return lastMs;
    },
  };
}

/** Reads CLOCK_BOOTTIME by way of /proc/uptime; null for ever where that file is not there or not readable. */
function linuxBootClock(): () => number | null {
  if (process.platform !== "linux") return () => null;
  try {
    const fd = openSync("/proc/uptime", "r");
    const buffer = Buffer.alloc(64);
    return () => {
      try {
        const length = readSync(fd, buffer, 0, buffer.length, 0);
        const seconds = Number.parseFloat(buffer.toString("latin1", 0, length));
        return Number.isFinite(seconds) ? seconds * 1_000 : null;
      } catch {
        return null;
      }
    };
  } catch {
    return () => null;
  }
}

/** Where the system's own clocks are read. */
const systemSources: ClockSources = {
  wallMs: () => Date.now(),
  steadyMs: () => performance.now(),
  bootMs: linuxBootClock(),
};

/** The machine's clock. */
export const systemClock: Clock = createClock(systemSources);

/** Tells that the machine was suspended, once it is back. */
export interface SuspendMeter {
  /** Milliseconds since the call before in which the machine was suspended, as far as can be told; 0: none. */
  takeMs(): number;
}

/** A clock that is set by less than this is set, and not the sign of a suspend; nor is the boot clock's noise. */
const shortestSuspendMs = 1_000;
/** Where the steady clock itself counts suspend (Windows, macOS), only that nobody asked for so long tells of it. */
const longSilenceMs = 30_000;

/**
 * Compares what the clocks have counted since the call before: boot clock against steady clock where there is a boot clock
 * (Linux); else wall clock against steady clock, and a silence of more than 30 s. There a clock that is set forward, or a process
 * that was stopped, looks like a suspend; who takes it for one loses a moment.
 */
export function createSuspendMeter(sources: ClockSources): SuspendMeter {
  const read = () => ({ steadyMs: sources.steadyMs(), wallMs: sources.wallMs(), bootMs: sources.bootMs() });
  let last = read();
  return {
    takeMs() {
      const now = read();
      const steadyMs = now.steadyMs - last.steadyMs;
      const gapMs =
        now.bootMs !== null && last.bootMs !== null
          ? now.bootMs - last.bootMs - steadyMs
          : Math.max(now.wallMs - last.wallMs - steadyMs, steadyMs > longSilenceMs ? steadyMs : 0);
      last = now;
      return gapMs >= shortestSuspendMs ? gapMs : 0;
    },
  };
}

/** The machine's own, from now on. */
export function systemSuspendMeter(): SuspendMeter {
  return createSuspendMeter(systemSources);
}
