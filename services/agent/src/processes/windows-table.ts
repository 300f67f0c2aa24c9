import { unknownStart, type ProcessTable } from "./process-table.ts";
import { windowsStartTimes, type StartTimeOf } from "./windows-start-times.ts";

/** Windows: no cheap table without a native module; use is then taken from what the machine as a whole has lost. */
export function windowsProcessTable(startTimeOf: StartTimeOf = windowsStartTimes()): ProcessTable {
  return {
    list: () => Promise.resolve(null),
    async startToken(pid) {
      if (!pidExists(pid)) return null;
      const startTime = await startTimeOf(pid);
      return startTime === null ? unknownStart : `windows ${startTime}`;
    },
    withEnvironment: () => Promise.resolve([]),
    proportionalMib: () => Promise.resolve(null),
  };
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && Reflect.get(error, "code") === "EPERM";
  }
}
