import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { errorCode, systemPorts } from "@headroom/runtime";
import { nothingMarked, type ProcessRow, type ProcessTable } from "./process-table.ts";
import { SharedLook } from "./shared-look.ts";

const run = promisify(execFile);
const psLimits = { timeout: 5_000, killSignal: "SIGKILL", maxBuffer: 16 * 1_048_576 } as const;

const columns = "pid=,ppid=,pgid=,stat=,rss=,time=,lstart=";

const listings = new SharedLook({
  ...systemPorts,
  async look() {
    const text = await ps(["-A", "-o", columns]);
    return text.split("\n").flatMap((line) => parsePsLine(line) ?? []);
  },
});

/** The process table of macOS and other systems with `ps` and no /proc. */
export const psProcessTable: ProcessTable = {
  list: () => listings.ask(),
  async startToken(pid) {
    if (!Number.isSafeInteger(pid) || pid <= 0) return null;
    const text = await ps(["-p", String(pid), "-o", columns]).catch(noneFound);
    return parsePsLine(text)?.startToken ?? null;
  },
  wasStartedAt: () => Promise.resolve(null),
  withEnvironment: () => Promise.resolve(nothingMarked),
  proportionalMib: () => Promise.resolve(null),
};

async function ps(args: readonly string[]): Promise<string> {
  const { stdout } = await run("ps", args, { ...psLimits, env: { ...process.env, LC_ALL: "C", TZ: "UTC" } });
  return stdout;
}

/** It answers 1 when the process asked for is gone. Whatever else befalls it says nothing of the process. */
function noneFound(error: unknown): string {
  if (errorCode(error) === "1") return "";
  throw error;
}

/** One line of `ps -o pid=,ppid=,pgid=,stat=,rss=,time=,lstart=`; undefined: no process, or a zombie. */
export function parsePsLine(line: string): ProcessRow | undefined {
  const match = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(\d+)\s+(\S+)\s+(.+?)\s*$/.exec(line);
  if (match === null) return undefined;
  const [, pid, parentPid, groupId, state = "", residentKib, time = "", startToken = ""] = match;
  if (state.startsWith("Z")) return undefined;
  return {
    pid: Number(pid),
    parentPid: Number(parentPid),
    groupId: Number(groupId),
    sessionId: 0,
    startToken,
    cpuMs: parseCpuTimeMs(time),
    residentMib: Number(residentKib) / 1_024,
  };
}

/** "1-02:03:04", "02:03:04" or "3:04.56" in ms. */
function parseCpuTimeMs(text: string): number {
  const [clock = "", days = "0"] = text.split("-").toReversed();
  const seconds = clock.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return (Number(days) * 86_400 + seconds) * 1_000;
}
