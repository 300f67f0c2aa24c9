import { readFileSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { Outage, silentLogger, systemTimers, type Logger, type Timers } from "@headroom/runtime";
import { BoundedReads } from "../bounded-reads.ts";
import { bytesPerMib } from "../units.ts";
import { lacksMeans } from "./lacks-means.ts";
import { MarkedProcesses } from "./marked-processes.ts";
import type { ProcessRow, ProcessTable } from "./process-table.ts";

// Linux counts CPU time in 1/100 s (USER_HZ is 100 on every architecture that Node runs on), memory in pages.
const msPerTick = 10;
// Large pages (16 or 64 KiB on some ARM machines) would only make what is measured too small for display; PSS is exact.
const mibPerPage = 4_096 / bytesPerMib;
/** PF_KTHREAD of the kernel's `sched.h`. */
const kernelThreadFlag = 0x0020_0000;

/** Reading what takes the lock of a process's memory; it takes well below 1 ms, and of a huge process some 100 ms. */
const lockedReadLimitMs = 2_000;
/** Such readings at once, and so those that may hang. */
const lockedReadsAtOnce = 2;

export interface LinuxTableOptions {
  readonly procDir?: string;
  readonly timers?: Timers;
  readonly logger?: Logger;
}

/**
 * The process table of Linux, read from /proc. A scan of 300 processes takes about 5 ms. What a process's `stat` says is read at once: that
 * never waits. Its environment and its share of memory wait for the lock of its memory, which a process that is stuck (a dead network drive,
 * a driver) may hold for ever: they are read aside, and without once that takes too long.
 */
export function linuxProcessTable(options: LinuxTableOptions = {}): ProcessTable {
  const { procDir = "/proc", timers = systemTimers, logger = silentLogger } = options;
  const bootId = readText(`${procDir}/sys/kernel/random/boot_id`)?.trim() ?? "unknown-boot";
  const outage = new Outage(logger, {
    fails:
      "a process is stuck, and its environment and memory cannot be read: it is known by its group and parent only",
    works: "the environment and memory of every process can be read again",
  });
  const reads = new BoundedReads({
    timers,
    limitMs: lockedReadLimitMs,
    atOnce: lockedReadsAtOnce,
    onHanging: (pid) =>
      outage.failed(new Error(`process ${pid} did not let itself be read within ${lockedReadLimitMs} ms`)),
  });
  const list = (): readonly ProcessRow[] => readStats(procDir, bootId).map(({ row }) => row);
  const marked = new MarkedProcesses({
    list: () => readStats(procDir, bootId).flatMap(({ row, isKernelThread }) => (isKernelThread ? [] : [row])),
    readEnvironment: (pid) => reads.read(String(pid), () => readTextAside(`${procDir}/${pid}/environ`)),
  });
  return {
    // A promise also of what fails.
    list: async () => list(),
    startToken: async (pid) => readStat(procDir, bootId, pid)?.row.startToken ?? null,
    async withEnvironment(entry) {
      const { pids, isWhole } = await marked.find(entry);
      if (isWhole) outage.worked();
      return pids;
    },
    async proportionalMib(pid) {
      const answer = await reads.read(String(pid), () => readProportionalMib(procDir, pid));
      return answer.kind === "read" ? answer.value : null;
    },
  };
}

interface Stat {
  readonly row: ProcessRow;
  readonly isKernelThread: boolean;
}

function readStats(procDir: string, bootId: string): readonly Stat[] {
  return readdirSync(procDir)
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readStat(procDir, bootId, Number(name)))
    .filter((stat) => stat !== null);
}

/** null: gone, or a zombie. */
function readStat(procDir: string, bootId: string, pid: number): Stat | null {
  const stat = readText(`${procDir}/${pid}/stat`);
  if (stat === null) return null;
  // The name in parentheses may hold anything, so count from the last one: field 3 (the state) is index 0.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  const number = (index: number): number => Number(fields[index] ?? 0);
  if (state === undefined || state === "Z" || state === "X") return null;
  const row = {
    pid,
    parentPid: number(1),
    groupId: number(2),
    sessionId: number(3),
    // utime, stime, cutime, cstime: with the children's, time does not vanish when a child is reaped.
    cpuMs: (number(11) + number(12) + number(13) + number(14)) * msPerTick,
    startToken: `${bootId} ${fields[19] ?? ""}`,
    residentMib: number(21) * mibPerPage,
  };
  return { row, isKernelThread: (number(6) & kernelThreadFlag) !== 0 };
}

async function readProportionalMib(procDir: string, pid: number): Promise<number | null> {
  try {
    const text = await readFile(`${procDir}/${pid}/smaps_rollup`, "utf8");
    const kib = /^Pss:\s+(\d+) kB$/m.exec(text)?.[1];
    return kib === undefined ? null : Number(kib) / 1_024;
  } catch {
    return null;
  }
}

/** null: it is not there, or not to be read by this user. What the machine lacks for looking says nothing of it, and is thrown. */
function readText(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch (error) {
    if (lacksMeans(error)) throw error;
    return null;
  }
}

/** The same, off the event loop. */
async function readTextAside(path: string): Promise<string | null> {
  try {
    return await readFile(path, "latin1");
  } catch (error) {
    if (lacksMeans(error)) throw error;
    return null;
  }
}
