import { readFile, readlink, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import { clientConfig } from "../connection.ts";
import { type Access, connectionUrl } from "./access.ts";
import { DataDirUnusableError } from "./errors.ts";
import { processStartTime } from "@headroom/runtime";

/** A running PostgreSQL, told from any other process that may get its pid later. */
export interface Postmaster {
  readonly pid: number;
  readonly startTime: string;
}

/** What PostgreSQL itself wrote into `postmaster.pid`; the file is PostgreSQL's alone to write and delete. */
export interface PidFile {
  readonly pid: number;
  readonly port: number;
  readonly socketDir: string;
}

/** The process of this data folder's PostgreSQL: running, starting or stopping; null if there is none. */
export async function findPostmaster(dataDir: string): Promise<(Postmaster & PidFile) | null> {
  const file = await readPidFile(dataDir);
  if (file === null) return null;
  const startTime = await processStartTime(file.pid);
  if (startTime === null || !(await mayBelongTo(file.pid, dataDir))) return null;
  return { ...file, startTime };
}

/** Connects and asks the server which folder it serves: "ours", or "silent" while it does not answer. */
export async function askDataDirectory(dataDir: string, access: Access): Promise<"ours" | "silent"> {
  const client = new pg.Client({
    ...clientConfig(connectionUrl(access, "postgres"), {
      applicationName: "headroom-supervisor",
      connectTimeoutMs: 5_000,
    }),
    query_timeout: 5_000,
  });
  client.on("error", () => undefined);
  let served: string | undefined;
  try {
    await client.connect();
    const result = await client.query<{ data_directory: string }>("SHOW data_directory");
    served = result.rows[0]?.data_directory;
  } catch {
    return "silent";
  } finally {
    await client.end().catch(() => undefined);
  }
  if (served !== undefined && (await samePlace(served, dataDir))) return "ours";
  throw new DataDirUnusableError(
    `the PostgreSQL that answers for ${dataDir} serves ${served ?? "an unknown folder"}: ` +
      `stop it, or choose another folder with HEADROOM_DATA_DIR`,
  );
}

export async function readPidFile(dataDir: string): Promise<PidFile | null> {
  const text = await readFile(join(dataDir, "postmaster.pid"), "utf8").catch(() => null);
  if (text === null) return null;
  // Its lines: pid, data folder, start time, port, socket folder, address, shared memory, status.
  const lines = text.split("\n");
  const pid = Number(lines[0]);
  if (!Number.isSafeInteger(pid) || pid <= 0) return null;
  return { pid, port: Number(lines[3] ?? 0), socketDir: lines[4] ?? "" };
}

/**
 * PostgreSQL runs as the owner of its data folder, and works in it: after a loss of power the number in its file may be anybody's.
 * Where we cannot see that, the answer is maybe, and the connection decides.
 */
async function mayBelongTo(pid: number, dataDir: string): Promise<boolean> {
  if (process.platform === "win32") return true;
  if (process.platform !== "linux") return maySignal(pid);
  const [its, folders] = await Promise.all([`/proc/${pid}`, dataDir].map((path) => stat(path).catch(() => null)));
  if (its?.uid !== folders?.uid) return false;
  const cwd = await workingFolder(pid);
  return cwd === null || cwd === (await placeOf(dataDir));
}

/** Whether the process works in the data folder, as its PostgreSQL does and hardly another one. */
export async function isSurelyHere(pid: number, dataDir: string): Promise<boolean> {
  return (await workingFolder(pid)) === (await placeOf(dataDir));
}

/** null where it cannot be seen. */
function workingFolder(pid: number): Promise<string | null> {
  return readlink(`/proc/${pid}/cwd`).catch(() => null);
}

function maySignal(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function samePlace(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([one, other].map(placeOf));
  return first === second;
}

/** The folder itself, where `path` is a symbolic link to it. */
function placeOf(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}
