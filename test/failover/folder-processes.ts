import { readdirSync, readlinkSync } from "node:fs";

/**
 * The processes that work in a folder of ours or below it: PostgreSQL's processes leave the session, the group and the environment in
 * which they were started, but each of them has its data folder as its working directory.
 */
export function processesIn(folder: string): readonly number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && pid !== process.pid && worksIn(pid, folder));
}

function worksIn(pid: number, folder: string): boolean {
  try {
    const path = readlinkSync(`/proc/${pid}/cwd`);
    return path === folder || path.startsWith(`${folder}/`);
  } catch {
    // It has ended, or is not ours.
    return false;
  }
}

/** Signals them all, again until a look finds no new one: a process may start another one in between. Answers how many there were. */
export function signalAllIn(folder: string, signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): number {
  const signalled = new Set<number>();
  for (;;) {
    const fresh = processesIn(folder).filter((pid) => !signalled.has(pid));
    if (fresh.length === 0) return signalled.size;
    for (const pid of fresh) {
      signalled.add(pid);
      try {
        process.kill(pid, signal);
      } catch {
        // It has ended by itself.
      }
    }
  }
}
