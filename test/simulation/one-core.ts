import { execFile } from "node:child_process";
import { promisify } from "node:util";

/**
 * Keeps processes on one core: a worker and the database's processes that serve it speak by turns, thousands of times a world, and waking each
 * other across cores costs several times what is said. Where the system has no `taskset` nothing is changed.
 */
export async function shareOneCore(core: number, pids: readonly number[]): Promise<void> {
  for (const pid of pids) {
    await promisify(execFile)("taskset", ["--all-tasks", "--pid", "--cpu-list", String(core), String(pid)]).catch(
      () => undefined,
    );
  }
}
