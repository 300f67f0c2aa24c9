import systeminformation from "systeminformation";
import type { Clock } from "@headroom/runtime";
import { bytesPerMib } from "../units.ts";
import { allowedCpus, Cgroup, usableCpuCount } from "./cgroup.ts";

/** CPU and memory of the machine as far as this process may use them. */
export interface CpuMemory {
  readonly cpuTotalMillicores: number;
  readonly cpuAvailableMillicores: number;
  /** Of the whole machine, 0..100. */
  readonly cpuLoadPercent: number;
  readonly memoryTotalMib: number;
  readonly memoryAvailableMib: number;
}

/** Measures CPU (over the time since the last call) and memory. */
export interface CpuMemoryMeter {
  measure(): Promise<CpuMemory>;
}

export interface CpuMemoryMeterOptions {
  readonly clock: Clock;
  readonly cgroup?: Cgroup;
}

/** The machine's figures through `systeminformation`, cut to the CPUs and the control group that this process was given. */
export function cpuMemoryMeter(options: CpuMemoryMeterOptions): CpuMemoryMeter {
  const cgroup = options.cgroup ?? new Cgroup();
  const quotaLoad = cgroupLoad(cgroup, options.clock);
  return {
    async measure() {
      const [load, memory] = await Promise.all([systeminformation.currentLoad(), systeminformation.mem()]);
      const limits = cgroup.limits();
      const cores = usableCpuCount();
      const idle = idleMillicores(
        load.cpus.map((cpu) => cpu.load),
        cores,
      );
      const total = Math.min(cores * 1_000, limits.cpuMillicores ?? Number.POSITIVE_INFINITY);
      const available = Math.min(idle, total - (quotaLoad() ?? 0));
      const memoryTotal = Math.floor(memory.total / bytesPerMib);
      const memoryFree = Math.floor(memory.available / bytesPerMib);
      const memoryLimit = limits.memoryMib ?? Number.POSITIVE_INFINITY;
      return {
        cpuTotalMillicores: total,
        cpuAvailableMillicores: clamp(Math.floor(available), total),
        cpuLoadPercent: clamp(load.currentLoad, 100),
        memoryTotalMib: Math.min(memoryTotal, memoryLimit),
        memoryAvailableMib: clamp(
          Math.min(memoryFree, memoryLimit - (cgroup.use().memoryMib ?? 0)),
          Math.min(memoryTotal, memoryLimit),
        ),
      };
    },
  };
}

/** What is idle of the CPUs that this process may run on; `loads` are percent, one a CPU of the machine. */
export function idleMillicores(
  loads: readonly number[],
  usableCores: number,
  allowed: readonly number[] | null = allowedCpus(),
): number {
  const chosen = allowed?.length === usableCores ? allowed.map((cpu) => loads[cpu]) : undefined;
  // Where the CPUs cannot be told apart (an offline one shifts the numbers), the machine's average stands for them.
  const known = chosen !== undefined && chosen.every((load) => load !== undefined) ? chosen : loads;
  if (known.length === 0) return 0;
  const busyShare = known.reduce<number>((sum, load) => sum + clamp(load ?? 0, 100), 0) / (known.length * 100);
  return usableCores * 1_000 * (1 - busyShare);
}

/** 1/1000 cores that the limited control group took since the last call; null where there is no limit. */
function cgroupLoad(cgroup: Cgroup, clock: Clock): () => number | null {
  let last: { readonly atMs: number; readonly cpuMs: number } | undefined;
  let rate: number | null = null;
  return () => {
    const { cpuMs } = cgroup.use();
    if (cpuMs === null) return null;
    const atMs = clock.monotonic();
    // Over less than this the rate is noise.
    if (last !== undefined && atMs - last.atMs < 200) return rate;
    if (last !== undefined) rate = Math.max(0, ((cpuMs - last.cpuMs) / (atMs - last.atMs)) * 1_000);
    last = { atMs, cpuMs };
    return rate;
  };
}

function clamp(value: number, max: number): number {
  return Number.isFinite(value) ? Math.max(0, Math.min(max, value)) : 0;
}
