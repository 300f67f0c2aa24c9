/** CPU that programs other than Headroom's attempts take, in 1/1000 cores. */
export interface ForeignCpu {
  /**
   * `busyMillicores`: what the whole machine was busy with since the call before. `ownCpuMs`: CPU time of all attempts ever, those
   * that have ended included. Both must be of the moment `atMs`.
   */
  measure(busyMillicores: number, ownCpuMs: number, atMs: number): number;
}

/** The load is not measured anew within less than this (`systeminformation`), so neither is what is derived from it. */
const shortestIntervalMs = 200;

/**
 * Busy time and own time are compared over the same interval. Own use "now" would not do: what an attempt took before it ended a
 * moment ago is still in the interval's load, and would look like the owner's for as long as the next interval lasts.
 */
export function foreignCpu(): ForeignCpu {
  let last: { readonly atMs: number; readonly ownCpuMs: number } | undefined;
  let foreign = 0;
  return {
    measure(busyMillicores, ownCpuMs, atMs) {
      const intervalMs = last === undefined ? Number.POSITIVE_INFINITY : atMs - last.atMs;
      if (intervalMs < shortestIntervalMs) return foreign;
      const ownMillicores = ((ownCpuMs - (last?.ownCpuMs ?? ownCpuMs)) / intervalMs) * 1_000;
      last = { atMs, ownCpuMs };
      foreign = Math.max(0, busyMillicores - ownMillicores);
      return foreign;
    },
  };
}
