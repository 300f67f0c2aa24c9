import { readFile, realpath, stat } from "node:fs/promises";
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

/** What PostgreSQL itself wrote into `postmaster.pid`, and likewise into the lock of its socket. */
export interface PidFile {
  readonly pid: number;
  readonly dataDir: string;
  /** By the clock of the machine, in seconds since 1970; 0 if it is not told. */
  readonly startedS: number;
  readonly port: number;
  readonly socketDir: string;
}

/** The process of this data folder's PostgreSQL: running, starting or stopping; null if there is none. */
export async function findPostmaster(dataDir: string): Promise<(Postmaster & PidFile) | null> {
  const file = await readPidFile(dataDir);
  if (file === null) return null;
  const startTime = await processStartTime(file.pid);
  if (startTime === null || !(await mayBelongTo({ ...file, startTime }, dataDir))) return null;
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
  return text === null ? null : parsePidFile(text);
}

/** null: torn, or of a PostgreSQL that serves nobody (`postgres --single` writes its number with a minus). */
export function parsePidFile(text: string): PidFile | null {
  // Its lines: pid, data folder, start time, port, socket folder, address, shared memory, status.
  const [first, dataDir = "", startedS = 0, port = 0, socketDir = ""] = text.split("\n");
  const pid = Number(first);
  if (!Number.isSafeInteger(pid) || pid <= 0) return null;
  return { pid, dataDir, startedS: Number(startedS), port: Number(port), socketDir };
}

/**
 * PostgreSQL runs as the owner of its data folder, and works in it: after a loss of power the number in its file may be anybody's.
 * Where we cannot see that, the answer is maybe, and the connection decides.
 */
async function mayBelongTo(found: Postmaster & PidFile, dataDir: string): Promise<boolean> {
  if (process.platform === "win32") return true;
  if (process.platform !== "linux") return maySignal(found.pid) && !isYounger(found.startTime, found.startedS);
  const [its, folders] = await Promise.all([`/proc/${found.pid}`, dataDir].map((path) => stat(path).catch(() => null)));
  if (its?.uid !== folders?.uid) return false;
  return (await worksIn(found.pid, dataDir)) !== false;
}

/**
 * Whether PostgreSQL, which asks of a number no more than whether it may signal its process, would take what is certainly not this folder's
 * server for it.
 */
export async function isMistakable(file: PidFile, dataDir: string): Promise<boolean> {
  if (process.platform === "win32") return false;
  const startTime = await processStartTime(file.pid);
  // Ended, and its number not free: in a container whose first process does not ask after what ends, it never is.
  if (startTime === null) return maySignal(file.pid);
  if (process.platform === "linux") return (await worksIn(file.pid, dataDir)) === false;
  return isYounger(startTime, file.startedS);
}

/** Whether the process works in the data folder, as its PostgreSQL does and hardly another one. */
export async function isSurelyHere(pid: number, dataDir: string): Promise<boolean> {
  return (await worksIn(pid, dataDir)) === true;
}

/** null where it cannot be seen. Not told by the folder's name: a process in another container may have it under another one. */
async function worksIn(pid: number, dataDir: string): Promise<boolean | null> {
  const [its, folders] = await Promise.all([`/proc/${pid}/cwd`, dataDir].map((path) => stat(path).catch(() => null)));
  if (!its || !folders || (its.ino === folders.ino && its.dev !== folders.dev)) return null;
  return its.ino === folders.ino;
}

/** A server writes down its time as it starts; both are whole seconds, and a clock may be set. */
const youngerByS = 10;

/** Whether a process began after the server that wrote `startedS`. `startTime`: as `ps` tells it, in UTC. */
export function isYounger(startTime: string, startedS: number): boolean {
  return startedS > 0 && Date.parse(`${startTime} UTC`) / 1_000 > startedS + youngerByS;
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
