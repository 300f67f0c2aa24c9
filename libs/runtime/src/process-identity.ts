import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { errorCode } from "./error-code.ts";

const run = promisify(execFile);

/** Says nothing: two processes may have it that had one pid after each other. */
export const unknownStartTime = "unknown";

/**
 * When a process started, in words that only equal themselves: pids are used again, a pid with its start time is not
 * (Linux: boot id and clock ticks since boot, macOS: `ps`). null: no such process, or one that has
 * ended and only waits to be reaped. Where the system does not tell (Windows): `unknownStartTime` while the pid exists. Rejects when it cannot be
 * told, as when no file is left: nobody is to be taken for dead then.
 */
export async function processStartTime(pid: number): Promise<string | null> {
  if (!Number.isSafeInteger(pid) || pid <= 0) return null;
  if (process.platform === "linux") return linuxStartTime(pid);
  if (!pidExists(pid)) return null;
  if (process.platform === "win32") return unknownStartTime;
  return psStartTime(pid);
}

/** Whether the process still runs that started at `startTime`. */
export async function isSameProcess(pid: number, startTime: string): Promise<boolean> {
  return (await processStartTime(pid)) === startTime;
}

async function linuxStartTime(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch((error: unknown) => {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ESRCH") return null;
    throw error;
  });
  if (stat === null) return null;
  // The name in parentheses may hold anything, so count from the last one: state is field 3, start time field 22.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  const ticks = fields[19];
  if (state === "Z" || state === "X" || ticks === undefined) return null;
  const bootId = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => "unknown boot");
  return `${bootId.trim()} ${ticks}`;
}

async function psStartTime(pid: number): Promise<string | null> {
  const { stdout } = await run("ps", ["-o", "stat=,lstart=", "-p", String(pid)], {
    env: { ...process.env, LC_ALL: "C", TZ: "UTC" },
    timeout: 10_000,
  }).catch((error: unknown) => {
    // It answers 1 when there is no such process.
    if (errorCode(error) === "1") return { stdout: "" };
    throw error;
  });
  const line = stdout.trim();
  if (line === "" || line.startsWith("Z")) return null;
  return line.replace(/^\S+\s+/, "");
}

function pidExists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it exists and belongs to somebody else.
    return errorCode(error) === "EPERM";
  }
}
