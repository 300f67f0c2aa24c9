import type { ProcessTable } from "./process-table.ts";

/** Windows: no cheap table without a native module; use is then taken from what the machine as a whole has lost. */
export const windowsProcessTable: ProcessTable = {
  list: () => Promise.resolve(null),
  startToken: (pid) => Promise.resolve(pidExists(pid) ? "unknown" : null),
  withEnvironment: () => Promise.resolve([]),
  proportionalMib: () => Promise.resolve(null),
};

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && Reflect.get(error, "code") === "EPERM";
  }
}
