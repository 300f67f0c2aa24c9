import { readFileSync, readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { bytesPerMib } from "../units.ts";
import { lacksMeans } from "./lacks-means.ts";
import type { ProcessRow, ProcessTable } from "./process-table.ts";

// Linux counts CPU time in 1/100 s (USER_HZ is 100 on every architecture that Node runs on), memory in pages.
const msPerTick = 10;
// Large pages (16 or 64 KiB on some ARM machines) would only make what is measured too small for display; PSS is exact.
const mibPerPage = 4_096 / bytesPerMib;

/** The process table of Linux, read from /proc. A scan of 300 processes takes about 5 ms. */
export function linuxProcessTable(procDir = "/proc"): ProcessTable {
  const bootId = readText(`${procDir}/sys/kernel/random/boot_id`)?.trim() ?? "unknown-boot";
  return {
    list: () => Promise.resolve(listProcesses(procDir, bootId)),
    startToken: (pid) => Promise.resolve(readRow(procDir, bootId, pid)?.startToken ?? null),
    withEnvironment: (entry) => Promise.resolve(findByEnvironment(procDir, entry)),
    proportionalMib: (pid) => readProportionalMib(procDir, pid),
  };
}

function pids(procDir: string): number[] {
  return readdirSync(procDir)
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function listProcesses(procDir: string, bootId: string): readonly ProcessRow[] {
  return pids(procDir)
    .map((pid) => readRow(procDir, bootId, pid))
    .filter((row) => row !== null);
}

/** null: gone, or a zombie. */
function readRow(procDir: string, bootId: string, pid: number): ProcessRow | null {
  const stat = readText(`${procDir}/${pid}/stat`);
  if (stat === null) return null;
  // The name in parentheses may hold anything, so count from the last one: field 3 (the state) is index 0.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  const number = (index: number): number => Number(fields[index] ?? 0);
  if (state === undefined || state === "Z" || state === "X") return null;
  return {
    pid,
    parentPid: number(1),
    groupId: number(2),
    sessionId: number(3),
    // utime, stime, cutime, cstime: with the children's, time does not vanish when a child is reaped.
    cpuMs: (number(11) + number(12) + number(13) + number(14)) * msPerTick,
    startToken: `${bootId} ${fields[19] ?? ""}`,
    residentMib: number(21) * mibPerPage,
  };
}

function findByEnvironment(procDir: string, entry: string): readonly number[] {
  const wanted = `\0${entry}\0`;
  return pids(procDir).filter((pid) => {
    // A zombie's environment is empty, another user's cannot be read.
    const environment = readText(`${procDir}/${pid}/environ`);
    return environment !== null && `\0${environment}\0`.includes(wanted);
  });
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
