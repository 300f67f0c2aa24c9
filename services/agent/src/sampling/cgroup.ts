import { availableParallelism } from "node:os";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { bytesPerMib } from "../units.ts";

/** What the control group of this process allows it; null: no limit of its own. */
export interface CgroupLimits {
  readonly cpuMillicores: number | null;
  readonly memoryMib: number | null;
}

/** What the limited groups use now; null where there is no limit. */
export interface CgroupUse {
  /** CPU time since the group was made, in ms. */
  readonly cpuMs: number | null;
  readonly memoryMib: number | null;
}

/** The control groups (version 2) of this process, the tightest limit of all those above it counts. */
export class Cgroup {
  readonly #dirs: readonly string[];

  constructor(root = "/sys/fs/cgroup", selfPath = "/proc/self/cgroup") {
    const path = /^0::(.*)$/m.exec(readText(selfPath) ?? "")?.[1];
    this.#dirs = path === undefined ? [] : ancestors(path).map((part) => join(root, part));
  }

  limits(): CgroupLimits {
    return { cpuMillicores: this.#cpu()?.millicores ?? null, memoryMib: this.#memory()?.mib ?? null };
  }

  use(): CgroupUse {
    return { cpuMs: readCpuMs(this.#cpu()?.dir), memoryMib: readMemoryMib(this.#memory()?.dir) };
  }

  #cpu(): { readonly dir: string; readonly millicores: number } | null {
    return tightest(
      this.#dirs,
      (dir) => {
        const [quota, period] = (readText(join(dir, "cpu.max")) ?? "").trim().split(" ").map(Number);
        if (quota === undefined || period === undefined || !(quota > 0) || !(period > 0)) return null;
        return { dir, millicores: Math.floor((quota / period) * 1_000) };
      },
      (limit) => limit.millicores,
    );
  }

  #memory(): { readonly dir: string; readonly mib: number } | null {
    return tightest(
      this.#dirs,
      (dir) => {
        const bytes = Number((readText(join(dir, "memory.max")) ?? "").trim() || Number.NaN);
        return Number.isFinite(bytes) ? { dir, mib: Math.floor(bytes / bytesPerMib) } : null;
      },
      (limit) => limit.mib,
    );
  }
}

/** Numbers of the CPUs that this process may run on; null: not told here, so all. */
export function allowedCpus(statusPath = "/proc/self/status"): readonly number[] | null {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readText(statusPath) ?? "")?.[1];
  return list === undefined ? null : parseCpuList(list);
}

/** CPUs that this process may use at once. */
export function usableCpuCount(): number {
  return availableParallelism();
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

function tightest<T>(dirs: readonly string[], read: (dir: string) => T | null, amount: (limit: T) => number): T | null {
  let least: T | null = null;
  for (const dir of dirs) {
    const limit = read(dir);
    if (limit !== null && (least === null || amount(limit) < amount(least))) least = limit;
  }
  return least;
}

function readCpuMs(dir: string | undefined): number | null {
  if (dir === undefined) return null;
  const micros = /^usage_usec (\d+)$/m.exec(readText(join(dir, "cpu.stat")) ?? "")?.[1];
  return micros === undefined ? null : Number(micros) / 1_000;
}

/** What the group holds less the file cache that would be given back at once. */
function readMemoryMib(dir: string | undefined): number | null {
  if (dir === undefined) return null;
  const bytes = Number(readText(join(dir, "memory.current")) ?? Number.NaN);
  const cache = Number(/^inactive_file (\d+)$/m.exec(readText(join(dir, "memory.stat")) ?? "")?.[1] ?? 0);
  return Number.isFinite(bytes) ? Math.ceil(Math.max(0, bytes - cache) / bytesPerMib) : null;
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}
