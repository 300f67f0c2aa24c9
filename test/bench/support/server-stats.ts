/** What a server process can tell of itself; asked by the parent around a measured interval. */
import { monitorEventLoopDelay } from "node:perf_hooks";

export interface ServerStats {
  /** User and system time of this process alone, in microseconds since its start. */
  readonly cpuUs: number;
  readonly rssBytes: number;
  readonly eventLoopDelayP99Ms: number;
  readonly eventLoopDelayMaxMs: number;
}

const delays = monitorEventLoopDelay({ resolution: 5 });
const RESOLUTION_MS = 5;

export const statsCommands = {
  stats(): ServerStats {
    const { user, system } = process.cpuUsage();
    // The monitor's figures contain its own period.
    const inMs = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
    return {
      cpuUs: user + system,
      rssBytes: process.memoryUsage.rss(),
      eventLoopDelayP99Ms: inMs(delays.percentile(99)),
      eventLoopDelayMaxMs: inMs(delays.max),
    };
  },
  startDelays(): void {
    delays.reset();
    delays.enable();
  },
  collectGarbage(): void {
    for (let round = 0; round < 3; round += 1) globalThis.gc?.();
  },
};
