import { readFileSync } from "node:fs";
import type { Ledger } from "./ledger.ts";

/**
 * Ends the commands of killed agents: those that the ledger names and that, by their environment, belong to it. A recycled
 * process id has another environment.
 */
export function endLeftoverTasks(ledger: Ledger): void {
  const ended = new Set(
    ledger
      .lines()
      .filter(({ what }) => what === "end")
      .map(({ attemptId }) => attemptId),
  );
  for (const { what, attemptId, pid } of ledger.lines()) {
    if (what !== "start" || ended.has(attemptId) || !isOurs(pid, ledger)) continue;
    try {
      process.kill(-pid, "SIGKILL");
    } catch {
      // It has ended by itself in between.
    }
  }
}

/** Whether a task of this ledger runs under this process id. */
export function isOurs(pid: number, ledger: Ledger): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").includes(`LEDGER=${ledger.file}`);
  } catch {
    return false;
  }
}
