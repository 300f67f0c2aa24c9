import { readFileSync } from "node:fs";

/**
 * Tells how much CPU time a child took that has just been reaped, from the sum that the system keeps for all children of this
 * process. Exact when one child ends at a time; when two end in the same turn, the first is told both and the second none.
 */
export interface ChildCpu {
  /** CPU time of children reaped since the last call, in ms; null where the system does not tell. */
  takeMs(): number | null;
}

const msPerTick = 10;

export function linuxChildCpu(statPath = "/proc/self/stat"): ChildCpu {
  let lastMs = readMs(statPath);
  return {
    takeMs() {
      const nowMs = readMs(statPath);
      if (nowMs === null || lastMs === null) return null;
      const tookMs = Math.max(0, nowMs - lastMs);
      lastMs = nowMs;
      return tookMs;
    },
  };
}

function readMs(statPath: string): number | null {
  try {
    const stat = readFileSync(statPath, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = Number(fields[13]) + Number(fields[14]);
    return Number.isFinite(ticks) ? ticks * msPerTick : null;
  } catch {
    return null;
  }
}
