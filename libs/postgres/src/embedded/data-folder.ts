import { readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorCode, writeFileAtomic } from "@headroom/runtime";

/** A data folder by its own name, and by the one that it was called by. */
export interface DataFolder {
  /** Beside it lie lock, place and socket: whoever shares the folder finds them there, by whatever links it comes. */
  readonly dataDir: string;
  /** The symbolic link that leads to it; null: it was called by its own name. */
  readonly link: string | null;
}

/** `wanted`: absolute; the folder that it lies in is there, it itself need not be. */
export async function findDataFolder(wanted: string): Promise<DataFolder> {
  const called = join(await realpath(dirname(wanted)), basename(wanted));
  const dataDir = (await ifThere(realpath(called))) ?? called;
  return { dataDir, link: dataDir === called ? null : called };
}

/** Whether an earlier version has run by the link: it kept beside it what now lies beside the folder. */
export function hasLockBeside(link: string): Promise<boolean> {
  return stat(`${link}.lock`).then(
    () => true,
    () => false,
  );
}

/** Where its server was started, and on Windows the password that its data was made with. They stay there too, for a way back. */
export async function takeFromBeside(link: string, dataDir: string): Promise<void> {
  for (const ending of [".place", ".password"]) {
    const [old, own] = await Promise.all([link, dataDir].map((path) => ifThere(readFile(`${path}${ending}`, "utf8"))));
    if (typeof old === "string" && own === null) await writeFileAtomic(`${dataDir}${ending}`, old, { mode: 0o600 });
  }
}

function ifThere(reading: Promise<string>): Promise<string | null> {
  return reading.catch((error: unknown) => {
    if (errorCode(error) === "ENOENT") return null;
    throw error;
  });
}
