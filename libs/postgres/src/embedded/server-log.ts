import { open, readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { maxLogFiles } from "./settings.ts";

/** Where pg_ctl sends what PostgreSQL says before its own log is open; rewritten at each start. */
export function startupLogPath(dataDir: string): string {
  return join(dataDir, "startup.log");
}

/** The folder of PostgreSQL's own log: at most five files of 5 MB. */
export function logDirOf(dataDir: string): string {
  return join(dataDir, "log");
}

const tailBytes = 2_000;

/** The end of the start-up log and of the newest log file; empty if there is none. */
export async function readLogTail(dataDir: string): Promise<string> {
  const newest = (await logFiles(dataDir)).at(-1);
  const parts = [await tailOf(startupLogPath(dataDir))];
  if (newest !== undefined) parts.push(await tailOf(newest));
  return parts.filter((part) => part !== "").join("\n");
}

/** Deletes all but the newest log files. */
export async function pruneLogs(dataDir: string): Promise<void> {
  const files = await logFiles(dataDir);
  for (const path of files.slice(0, Math.max(0, files.length - maxLogFiles))) {
    await unlink(path).catch(() => undefined);
  }
}

/** Oldest first: their names are their dates. */
async function logFiles(dataDir: string): Promise<string[]> {
  const dir = logDirOf(dataDir);
  const names = await readdir(dir).catch(() => []);
  const files = names.filter((name) => /^postgresql-.*\.log$/.test(name));
  return files.toSorted().map((name) => join(dir, name));
}

async function tailOf(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    const file = await open(path, "r");
    try {
      const length = Math.min(size, tailBytes);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
      return buffer.toString("utf8", 0, bytesRead).trim();
    } finally {
      await file.close();
    }
  } catch {
    return "";
  }
}
