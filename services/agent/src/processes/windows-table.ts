import { uptime } from "node:os";
import { errorCode, systemPorts } from "@headroom/runtime";
import { nothingMarked, unknownStart, type ProcessTable } from "./process-table.ts";
import { windowsStartTimes, type StartTimeOf } from "./windows-start-times.ts";

/** Between the start of a process and the moment that was noted for it: the note follows, on a busy machine seconds later. */
const notedWithinMs = 10_000;
/** The clock may have been set by so much since. */
const clockSetMs = 60_000;
/** The system counts 100 ns since 1601. */
const perMs = 10_000n;
const from1601To1970Ms = 11_644_473_600_000;

/** Windows: no cheap table without a native module; use is then taken from what the machine as a whole has lost. */
export function windowsProcessTable(
  startTimeOf: StartTimeOf = windowsStartTimes(),
  bootedAtMs = (): number => systemPorts.clock.now() - uptime() * 1_000,
): ProcessTable {
  return {
    list: () => Promise.resolve(null),
    async startToken(pid) {
      if (!pidExists(pid)) return null;
      const startTime = await startTimeOf(pid);
      return startTime === null ? unknownStart : `windows ${startTime}`;
    },
    async wasStartedAt(pid, atMs) {
      const startTime = await startTimeOf(pid);
      // Nothing of the time before a boot is left. One that was none (a fast start) moves the boot back, and nothing is told.
      if (startTime === null) return bootedAtMs() > atMs + clockSetMs ? false : null;
      const startMs = Number(startTime / perMs) - from1601To1970Ms;
      return Math.abs(startMs - atMs) <= notedWithinMs;
    },
    withEnvironment: () => Promise.resolve(nothingMarked),
    proportionalMib: () => Promise.resolve(null),
  };
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}
