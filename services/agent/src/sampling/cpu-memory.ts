import { freemem, totalmem } from "node:os";
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
  readonly platform?: NodeJS.Platform;
}

/** In bytes. */
interface MachineMemory {
  readonly total: number;
  readonly available: number;
}

/** On Windows `systeminformation` tells just these two, and starts a PowerShell for the size of the page file at each call. */
function readMemory(platform: NodeJS.Platform): Promise<MachineMemory> {
  if (platform === "win32") return Promise.resolve({ total: totalmem(), available: freemem() });
  return systeminformation.mem();
}

/** The machine's figures through `systeminformation`, cut to the CPUs and the control group that this process was given. */
export function cpuMemoryMeter(options: CpuMemoryMeterOptions): CpuMemoryMeter {
  const { cgroup = new Cgroup(), platform = process.platform } = options;
  const quotaLeft = cgroupCpuLeft(cgroup, options.clock);
  return {
    async measure() {
      const [load, memory] = await Promise.all([systeminformation.currentLoad(), readMemory(platform)]);
      const limits = cgroup.limits();
      const allowed = allowedCpus();
      const cores = usableCpuCount(allowed);
      const idle = idleMillicores(
        load.cpus.map((cpu) => cpu.load),
        cores,
        allowed,
      );
      const total = Math.min(cores * 1_000, limits.cpuMillicores ?? Number.POSITIVE_INFINITY);
      const available = Math.min(idle, quotaLeft() ?? total);
      const memoryTotal = Math.floor(memory.total / bytesPerMib);
      const memoryFree = Math.floor(memory.available / bytesPerMib);
      const memoryLimit = limits.memoryMib ?? Number.POSITIVE_INFINITY;
      return {
        cpuTotalMillicores: total,
        cpuAvailableMillicores: clamp(Math.floor(available), total),
        cpuLoadPercent: clamp(load.currentLoad, 100),
        memoryTotalMib: Math.min(memoryTotal, memoryLimit),
        memoryAvailableMib: clamp(
          Math.min(memoryFree, cgroup.memoryLeftMib() ?? Number.POSITIVE_INFINITY),
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
  allowed: readonly number[] | null,
): number {
  const chosen = allowed?.length === usableCores ? allowed.map((cpu) => loads[cpu]) : undefined;
  // Where the CPUs cannot be told apart (an offline one shifts the numbers), the machine's average stands for them.
  const known = chosen !== undefined && chosen.every((load) => load !== undefined) ? chosen : loads;
  if (known.length === 0) return 0;
  const busyShare = known.reduce<number>((sum, load) => sum + clamp(load ?? 0, 100), 0) / (known.length * 100);
  return usableCores * 1_000 * (1 - busyShare);
}

interface GroupLoad {
  readonly atMs: number;
  readonly usedMs: number;
  readonly millicores: number;
}

/** Least 1/1000 cores that a limited control group had left since the last call; null where there is no limit. */
export function cgroupCpuLeft(cgroup: Cgroup, clock: Clock): () => number | null {
  const loads = new Map<string, GroupLoad>();
  const loadOf = (dir: string, usedMs: number, atMs: number): number => {
    const last = loads.get(dir);
    // Over less than this the rate is noise.
    if (last !== undefined && atMs - last.atMs < 200) return last.millicores;
    const millicores = last === undefined ? 0 : Math.max(0, ((usedMs - last.usedMs) / (atMs - last.atMs)) * 1_000);
    loads.set(dir, { atMs, usedMs, millicores });
    return millicores;
  };
  return () => {
    const atMs = clock.monotonic();
    const left = cgroup
      .limitedCpus()
      .map(({ dir, millicores, usedMs }) => millicores - (usedMs === null ? 0 : loadOf(dir, usedMs, atMs)));
    return left.length === 0 ? null : Math.min(...left);
  };
}

function clamp(value: number, max: number): number {
  return Number.isFinite(value) ? Math.max(0, Math.min(max, value)) : 0;
}
