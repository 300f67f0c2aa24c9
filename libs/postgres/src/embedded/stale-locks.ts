import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { sleep, type Timers } from "@headroom/runtime";
import type { Access } from "./access.ts";
import { isMistakable, parsePidFile, type PidFile } from "./postmaster.ts";

/** PostgreSQL writes into its lock file as soon as it has made it. */
const lookAgainMs = 1_000;

/**
 * Deletes the lock files that a loss of power left and that would keep PostgreSQL from ever starting again: it takes any process of its user
 * that has got the number by now for its predecessor, and an empty file for one that begins. What it sees through itself is left to it. For
 * the owner of the folder, when no server has been found.
 */
export async function removeStaleLocks(dataDir: string, access: Access, timers: Timers): Promise<void> {
  await removeIfStale(join(dataDir, "postmaster.pid"), timers, (file) => isMistakable(file, dataDir));
  if (access.kind !== "socket") return;
  // In the socket's folder another data folder's server may have its socket too.
  await removeIfStale(
    join(access.dir, `.s.PGSQL.${access.port}.lock`),
    timers,
    async (file) => file.dataDir === dataDir && (await isMistakable(file, dataDir)),
  );
}

async function removeIfStale(
  path: string,
  timers: Timers,
  misleads: (file: PidFile) => Promise<boolean>,
): Promise<void> {
  const text = await readText(path);
  if (text === null) return;
  if (isTorn(text)) {
    await sleep(timers, lookAgainMs);
    if ((await readText(path)) !== text) return;
  } else {
    const file = parsePidFile(text);
    if (file === null || !(await misleads(file))) return;
  }
  await rm(path, { force: true });
}

/** Empty, or with zeros where the disk had the length and not yet the text. */
function isTorn(text: string): boolean {
  return !/^-?\d/.test(text);
}

function readText(path: string): Promise<string | null> {
  return readFile(path, "utf8").catch(() => null);
}
