import { availableParallelism } from "node:os";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bytesPerMib } from "../units.ts";

/** What the control group of this process allows it; null: no limit of its own. */
export interface CgroupLimits {
  readonly cpuMillicores: number | null;
  readonly memoryMib: number | null;
}

/** A group with a limit of its own, and what it has used. */
interface LimitedCpu {
  readonly dir: string;
  readonly millicores: number;
  /** CPU time since the group was made, in ms; null: not told. */
  readonly usedMs: number | null;
}

/** The control groups (version 2) of this process, all those above it counted. */
export class Cgroup {
  readonly #dirs: readonly string[];

  constructor(root = "/sys/fs/cgroup", selfPath = "/proc/self/cgroup") {
    const path = /^0::(.*)$/m.exec(readText(selfPath) ?? "")?.[1];
    this.#dirs = path === undefined ? [] : ancestors(path).map((part) => join(root, part));
  }

  /** The tightest of each. */
  limits(): CgroupLimits {
    return {
      cpuMillicores: least(this.#dirs.map(readCpuLimit)),
      memoryMib: least(this.#dirs.map(readMemoryLimitMib)),
    };
  }

  /** Least that a group has left of its memory: siblings may use up what a group above allows. null: no limit. */
  memoryLeftMib(): number | null {
    return least(
      this.#dirs.map((dir) => {
        const limit = readMemoryLimitMib(dir);
        return limit === null ? null : Math.max(0, limit - (readMemoryMib(dir) ?? 0));
      }),
    );
  }

  /** The groups with a limit of CPU time, this process's own first. */
  limitedCpus(): readonly LimitedCpu[] {
    return this.#dirs.flatMap((dir) => {
      const millicores = readCpuLimit(dir);
      return millicores === null ? [] : [{ dir, millicores, usedMs: readCpuMs(dir) }];
    });
  }
}

/** Numbers of the CPUs that this process may run on and that are online: the system allows also those that could be. null: not told here. */
export function allowedCpus(
  statusPath = "/proc/self/status",
  onlinePath = "/sys/devices/system/cpu/online",
): readonly number[] | null {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readText(statusPath) ?? "")?.[1];
  const online = readText(onlinePath);
  if (list === undefined || online === null) return null;
  const those = new Set(parseCpuList(online.trim()));
  return parseCpuList(list).filter((cpu) => those.has(cpu));
}

/**
 * CPUs that this process may run on, whatever a quota leaves of their time. Node's figure has that in it from 24 on, rounded down, and is the
 * one that counts where a container is shown other CPUs (lxcfs) than it has.
 */
export function usableCpuCount(allowed: readonly number[] | null = allowedCpus()): number {
  return Math.max(allowed?.length ?? 0, availableParallelism());
}

/** "0-3,8" is 0, 1, 2, 3 and 8. */
export function parseCpuList(list: string): readonly number[] {
  return list.split(",").flatMap((range) => {
    const [from = Number.NaN, to = from] = range.split("-").map(Number);
    return to >= from ? Array.from({ length: to - from + 1 }, (_, index) => from + index) : [];
  });
}

/** "/a/b" is in "/a/b", "/a" and "/". */
function ancestors(path: string): readonly string[] {
  const parts = path.split("/").filter((part) => part !== "");
  return [...parts.keys(), parts.length].map((count) => `/${parts.slice(0, count).join("/")}`).toReversed();
}

function least(limits: readonly (number | null)[]): number | null {
  const those = limits.filter((limit) => limit !== null);
  return those.length === 0 ? null : Math.min(...those);
}

function readCpuLimit(dir: string): number | null {
  const [quota, period] = (readText(join(dir, "cpu.max")) ?? "").trim().split(" ").map(Number);
  if (quota === undefined || period === undefined || !(quota > 0) || !(period > 0)) return null;
  return Math.floor((quota / period) * 1_000);
}

function readMemoryLimitMib(dir: string): number | null {
  const bytes = Number((readText(join(dir, "memory.max")) ?? "").trim() || Number.NaN);
  return Number.isFinite(bytes) ? Math.floor(bytes / bytesPerMib) : null;
}

function readCpuMs(dir: string): number | null {
  const micros = /^usage_usec (\d+)$/m.exec(readText(join(dir, "cpu.stat")) ?? "")?.[1];
  return micros === undefined ? null : Number(micros) / 1_000;
}

/** What the group holds less its file cache, mapped files included: as the machine's MemAvailable counts, and the use of attempts. */
function readMemoryMib(dir: string): number | null {
  const bytes = Number((readText(join(dir, "memory.current")) ?? "").trim() || Number.NaN);
  const stat = readText(join(dir, "memory.stat")) ?? "";
  const cache = [...stat.matchAll(/^(?:in)?active_file (\d+)$/gm)].reduce((sum, [, size]) => sum + Number(size), 0);
  return Number.isFinite(bytes) ? Math.ceil(Math.max(0, bytes - cache) / bytesPerMib) : null;
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
